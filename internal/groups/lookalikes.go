package groups

// lookalikes gives, for letters and digits that are easily taken for a small Latin letter,
// that letter. They are what case folding and compatibility decomposition leave over: most
// are the small forms of capitals that look alike, too. The table is this project's own,
// of the well-known cases, and makes no claim to be complete. Only letters and digits are
// in it, and only letters come out of it that are not in it.
var lookalikes = func() map[rune]rune {
	m := make(map[rune]rune)
	for latin, like := range map[rune]string{
		'a': "аɑαᴀ",
		'b': "вьʙβƀ",
		'c': "сᴄϲ",
		'd': "ԁđᴅɖɗ",
		'e': "еєεᴇɛ",
		'f': "ꜰƒ",
		'g': "ɡɢցǥ",
		'h': "нһհʜħ",
		'i': "іıɪιɨӏ",
		'j': "јȷϳᴊɉ",
		'k': "кκᴋ",
		'l': "1ǀłʟƚ",
		'm': "мᴍ",
		'n': "ηɴոո",
		'o': "0оοօᴏøɵσ",
		'p': "рρᴘᵽ",
		'q': "ԛզ",
		'r': "гʀɍ",
		's': "ѕꜱʂ",
		't': "тτᴛŧ",
		'u': "սυᴜʋʉ",
		'v': "ѵνᴠ",
		'w': "ԝωᴡѡ",
		'x': "хχ",
		'y': "уγʏɏүұ",
		'z': "ᴢƶʐ",
	} {
		for _, r := range like {
			m[r] = latin
		}
	}
	return m
}()
