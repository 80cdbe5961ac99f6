package canonical

import (
	"errors"
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"
)

// UnicodeVersion is the version of Unicode that Text normalises by. It comes with the Go release.
//
// The service normalises by Unicode 18. Both agree on every text whose characters this version assigns, because
// Unicode never changes how those are normalised; see [Unassigned].
const UnicodeVersion = norm.Version

// ErrText means that a text holds U+0000 or is not UTF-8; the service's reason for it is TEXT_INVALID.
var ErrText = errors.New("text holds U+0000 or is not UTF-8")

var lineEnds = strings.NewReplacer("\r\n", "\n", "\r", "\n")

// Text normalises as the service does: CRLF and CR become LF, leading U+FEFF are dropped, then NFC.
func Text(text string) (string, error) {
	if !utf8.ValidString(text) || strings.ContainsRune(text, 0) {
		return "", ErrText
	}
	return norm.NFC.String(strings.TrimLeft(lineEnds.Replace(text), "\ufeff")), nil
}

// Unassigned reports whether a text holds a character that has no meaning yet in [UnicodeVersion].
//
// Only of such a text can Text make something else than the service does.
func Unassigned(text string) bool {
	return strings.ContainsFunc(text, func(char rune) bool {
		return unicode.Is(unicode.Cn, char) && !unicode.Is(unicode.Noncharacter_Code_Point, char)
	})
}
