package server

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
)

// Profile is the name of the profile in the AWS files that the first start writes.
const Profile = "packhouse"

// AWSCredentialsFile and AWSConfigFile are where the AWS files of a data directory lie.
func AWSCredentialsFile(dataDir string) string {
	return filepath.Join(dataDir, awsFolder, "credentials")
}

// AWSConfigFile is the file with region and endpoint; see AWSCredentialsFile.
func AWSConfigFile(dataDir string) string { return filepath.Join(dataDir, awsFolder, "config") }

// writeAWSCredentials writes the administrator's key as the AWS tools read it.
func writeAWSCredentials(dataDir, keyID, secret string) error {
	text := fmt.Sprintf("[%s]\naws_access_key_id = %s\naws_secret_access_key = %s\n", Profile, keyID, secret)
	return writePrivate(AWSCredentialsFile(dataDir), []byte(text))
}

// writeAWSConfig writes region and endpoint. Newer tools read endpoint_url of the
// profile; the services section limits it to the one service that we are for tools that
// know it, so that a profile used for something else by mistake fails clearly.
func writeAWSConfig(dataDir, region, endpoint string) error {
	text := fmt.Sprintf("[profile %[1]s]\nregion = %[2]s\nendpoint_url = %[3]s\nservices = %[1]s\n\n[services %[1]s]\ncodeartifact =\n  endpoint_url = %[3]s\n",
		Profile, region, endpoint)
	path := AWSConfigFile(dataDir)
	if old, err := os.ReadFile(path); err == nil && bytes.Equal(old, []byte(text)) {
		return nil
	}
	return writePrivate(path, []byte(text))
}

// writePrivate replaces a file that only its owner may read, whole or not at all.
func writePrivate(path string, text []byte) error {
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return err
	}
	tmp, err := os.CreateTemp(filepath.Dir(path), ".new-*") // mode 0600
	if err != nil {
		return err
	}
	defer func() { _ = os.Remove(tmp.Name()) }() // gone after the rename
	if _, err := tmp.Write(text); err != nil {
		_ = tmp.Close()
		return err
	}
	if err := tmp.Sync(); err != nil {
		_ = tmp.Close()
		return err
	}
	if err := tmp.Close(); err != nil {
		return err
	}
	return os.Rename(tmp.Name(), path)
}
