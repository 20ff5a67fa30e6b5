package limits

// Addresses returns how many buckets of addresses are kept.
func Addresses(l *Limiter) int {
	l.addresses.kept.CleanUp()
	return l.addresses.kept.EstimatedSize()
}
