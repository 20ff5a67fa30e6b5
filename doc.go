// Package packhouse holds the words that every other package speaks: references
// to domains, repositories, packages, versions and assets; digests; principals,
// actions and ARNs; changes; and the error type that doors translate.
//
// It is the ground floor: plain values, standard library only, nothing here does
// I/O or keeps state. Start reading with PackageRef and Error.
package packhouse
