package authz

// Managed policies by name, as the service ships them (codeartifact.md 3.12).
const (
	AdminAccess    = "AWSCodeArtifactAdminAccess"
	ReadOnlyAccess = "AWSCodeArtifactReadOnlyAccess"
)

// Managed policies for whoever administers the installation and its identities.
const (
	AdministratorAccess = "AdministratorAccess"
	IAMFullAccess       = "IAMFullAccess"
)

const administratorDocument = `{
  "Version": "2012-10-17",
  "Statement": [
    {
      "Effect": "Allow",
      "Action": "*",
      "Resource": "*"
    }
  ]
}`

const iamFullDocument = `{
  "Version": "2012-10-17",
  "Statement": [
    {
      "Effect": "Allow",
      "Action": "iam:*",
      "Resource": "*"
    }
  ]
}`

// ManagedNames returns the names of the managed policies, in order.
func ManagedNames() []string {
	return []string{AdminAccess, ReadOnlyAccess, AdministratorAccess, IAMFullAccess}
}

const adminDocument = `{
  "Version": "2012-10-17",
  "Statement": [
    {
      "Sid": "Everything",
      "Effect": "Allow",
      "Action": "codeartifact:*",
      "Resource": "*"
    },
    {
      "Sid": "RegistryTokens",
      "Effect": "Allow",
      "Action": "sts:GetServiceBearerToken",
      "Resource": "*",
      "Condition": {
        "StringEquals": {
          "sts:AWSServiceName": "codeartifact.amazonaws.com"
        }
      }
    }
  ]
}`

const readOnlyDocument = `{
  "Version": "2012-10-17",
  "Statement": [
    {
      "Sid": "Reading",
      "Effect": "Allow",
      "Action": [
        "codeartifact:Describe*",
        "codeartifact:Get*",
        "codeartifact:List*",
        "codeartifact:ReadFromRepository"
      ],
      "Resource": "*"
    },
    {
      "Sid": "RegistryTokens",
      "Effect": "Allow",
      "Action": "sts:GetServiceBearerToken",
      "Resource": "*",
      "Condition": {
        "StringEquals": {
          "sts:AWSServiceName": "codeartifact.amazonaws.com"
        }
      }
    }
  ]
}`

// Managed returns the document of a managed policy and whether there is one.
func Managed(name string) (doc string, ok bool) {
	switch name {
	case AdminAccess:
		return adminDocument, true
	case ReadOnlyAccess:
		return readOnlyDocument, true
	case AdministratorAccess:
		return administratorDocument, true
	case IAMFullAccess:
		return iamFullDocument, true
	}
	return "", false
}
