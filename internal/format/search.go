package format

import (
	"context"

	"github.com/packhouse/packhouse"
)

// Searcher is the part of a House that finds packages.
type Searcher interface {
	// Search finds the packages of one format that a repository shows: what it and its
	// upstream repositories hold of listed versions; no public registry is asked. Needs
	// ReadFromRepository; packages on which a statement denies that are left out. The
	// order is that of scores, and stays while nothing is published. Errors: Invalid
	// "invalid_search" for a query beyond its limits; NotFound of the repository.
	Search(ctx context.Context, who packhouse.Principal, q Query) (Hits, error)
}

// The limits of a Query.
const (
	MaxHits        = 250  // hits of one answer
	MaxSearchDepth = 1000 // From and Size together
	MaxSearchWords = 16   // words of Text, and entries of each list
)

// Query says what is searched. A package is found when it answers to all of it; a query
// that asks for nothing finds nothing.
type Query struct {
	Repo   packhouse.RepoRef
	Format packhouse.FormatID
	// Text is free text. Each of its words begins a word of the package's name or
	// namespace, is one of its keywords, or is a word of its summary, a keyword or an
	// author.
	Text string
	// Exact is what Text means as a name: that package comes first. Zero for none.
	Exact packhouse.PackageName
	// Keywords has lists of which one keyword each must be there, as a whole.
	Keywords   [][]string
	Authors    []string // each as a whole or one word
	Namespaces []string
	From, Size int // of the hits
}

// Hits are one page of what was found.
type Hits struct {
	List []Hit
	// Total is how many hits are known of, before this page and in it. More tells that
	// there are others behind it: nobody counts what nobody reads.
	Total int
	More  bool
}

// Hit is a package that was found.
type Hit struct {
	// Package is described by the version that clients get by default, as far as
	// repositories hold it: the one with the format's default tag, else the newest.
	Package     packhouse.PackageName
	DisplayName string
	Version     packhouse.PackageVersion // Ref, ID, RevisionID, Status and Published only
	// Facts are a summary: long texts are cut, and a long Manifest is left out, like
	// Readme, Dependencies, Warnings and Fragment. They are shared and must not be changed.
	Facts packhouse.Facts
	// Score tells by what the package was found: 1 its very name, 0.8 a word of it, 0.6 a
	// keyword, 0.4 a word of the summary, 0.2 an author.
	Score float64
}

// Stars is the part of a House that keeps what people like.
type Stars interface {
	// Star notes that the caller likes a package of which the repository has a record, or
	// takes that back. Needs ReadFromRepository and a credential that may write. Errors:
	// Denied "read_only_credential"; NotFound of the repository or the package; Invalid
	// "too_many_stars".
	Star(ctx context.Context, who packhouse.Principal, pkg packhouse.PackageRef, on bool) error
	// Starred lists by name what a user of the caller's account has starred in a
	// repository; "" is the caller. Needs ReadFromRepository. Users that do not exist have
	// no stars. Errors: NotFound of the repository.
	Starred(ctx context.Context, who packhouse.Principal, r packhouse.RepoRef, f packhouse.FormatID, user string) ([]packhouse.PackageName, error)
}
