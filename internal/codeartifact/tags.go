package codeartifact

import (
	"context"

	"github.com/packhouse/packhouse"
)

type tagService interface {
	TagResource(ctx context.Context, who packhouse.Principal, arn string, tags []packhouse.ResourceTag) error
	UntagResource(ctx context.Context, who packhouse.Principal, arn string, keys []string) error
	ResourceTags(ctx context.Context, who packhouse.Principal, arn string) ([]packhouse.ResourceTag, error)
}

// Tag is the model's structure. A value may be empty, but not absent.
type Tag struct {
	Key   string `json:"key" shape:"TagKey,required"`
	Value string `json:"value" shape:"TagValue,required"`
}

func resourceTags(tags []Tag) []packhouse.ResourceTag {
	return each(tags, func(t Tag) packhouse.ResourceTag { return packhouse.ResourceTag(t) })
}

// emptyOutput is the answer of operations that have none: {}.
type emptyOutput struct{}

type tagResourceInput struct {
	ResourceArn string `query:"resourceArn" shape:"Arn,required"`
	Tags        []Tag  `json:"tags" shape:"TagList,required"`
}

func tagResource(ctx context.Context, c *call, in *tagResourceInput) (*emptyOutput, error) {
	return &emptyOutput{}, c.api.Service.TagResource(ctx, c.who, in.ResourceArn, resourceTags(in.Tags))
}

type untagResourceInput struct {
	ResourceArn string   `query:"resourceArn" shape:"Arn,required"`
	TagKeys     []string `json:"tagKeys" shape:"TagKeyList,required"`
}

func untagResource(ctx context.Context, c *call, in *untagResourceInput) (*emptyOutput, error) {
	return &emptyOutput{}, c.api.Service.UntagResource(ctx, c.who, in.ResourceArn, in.TagKeys)
}

type listTagsForResourceInput struct {
	ResourceArn string `query:"resourceArn" shape:"Arn,required"`
}

type listTagsForResourceOutput struct {
	Tags []Tag `json:"tags"`
}

func listTagsForResource(ctx context.Context, c *call, in *listTagsForResourceInput) (*listTagsForResourceOutput, error) {
	tags, err := c.api.Service.ResourceTags(ctx, c.who, in.ResourceArn)
	return &listTagsForResourceOutput{each(tags, func(t packhouse.ResourceTag) Tag { return Tag(t) })}, err
}
