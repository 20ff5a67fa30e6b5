package limits

// Addresses returns how many buckets of addresses are kept.
func Addresses(l *Limiter) int { return l.addresses.kept.Len() }
