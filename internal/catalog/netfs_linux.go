package catalog

import "golang.org/x/sys/unix"

// onNetwork names the network filesystem that a directory is on, "" for a local one.
func onNetwork(dir string) (string, error) {
	var st unix.Statfs_t
	if err := unix.Statfs(dir, &st); err != nil {
		return "", err
	}
	// The field is signed or not and wide or not, depending on the processor.
	return networkFilesystem(uint32(st.Type)), nil //nolint:gosec // magic numbers have 32 bits
}

func networkFilesystem(magic uint32) string {
	switch magic {
	case unix.NFS_SUPER_MAGIC:
		return "NFS"
	case unix.SMB_SUPER_MAGIC, unix.SMB2_SUPER_MAGIC, unix.CIFS_SUPER_MAGIC:
		return "SMB"
	case unix.AFS_SUPER_MAGIC, unix.AFS_FS_MAGIC:
		return "AFS"
	case unix.CEPH_SUPER_MAGIC:
		return "Ceph"
	case unix.CODA_SUPER_MAGIC:
		return "Coda"
	case unix.NCP_SUPER_MAGIC:
		return "NCP"
	}
	return ""
}
