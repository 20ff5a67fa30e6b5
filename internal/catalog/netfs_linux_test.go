package catalog

import "testing"

func TestNetworkFilesystems(t *testing.T) {
	for magic, want := range map[uint32]string{0x6969: "NFS", 0xff534d42: "SMB", 0xfe534d42: "SMB", 0xef53: "", 0x01021994: ""} {
		if got := networkFilesystem(magic); got != want {
			t.Errorf("%x is %q, want %q (R5)", magic, got, want)
		}
	}
}
