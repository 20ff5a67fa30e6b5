package packhouse

import "time"

// The actions on blocks, on the domain. No managed policy lists them: nobody may do them
// unless a policy says so.
const (
	ActionCreateBlock Action = "packhouse:CreateBlock"
	ActionDeleteBlock Action = "packhouse:DeleteBlock"
	ActionListBlocks  Action = "packhouse:ListBlocks"
)

// BlockEntry keeps a package, a version or some bytes from everybody in a domain, whatever
// repository has them (reliability.md S47). What is stored stays as it is.
type BlockEntry struct {
	// Target is how the block is named: "npm/left-pad", "npm/@acme/box@1.0.0" or
	// "sha256:" and 64 hexadecimal digits.
	Target    string
	Reason    string // for people; "" for none
	Principal string // ARN of who blocked it
	Created   time.Time
}
