package vault

// Windowed returns how many packages the windows of all stagings hold.
func (v *Vault) Windowed() int64 { return v.windowed.Load() }

// MaxWindowed bounds them.
const MaxWindowed = maxWindowed
