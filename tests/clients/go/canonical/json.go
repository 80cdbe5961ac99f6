// Package canonical computes what Pecia hashes: normalised text, canonical JSON (RFC 8785), and SHA-256 of it.
//
// A client needs it only to check a receipt by itself; the service computes all of this anyway.
package canonical

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"maps"
	"slices"
	"unicode/utf16"
	"unicode/utf8"
)

// Hash returns the SHA-256 of data in lower-case hex, as all hashes of Pecia are written.
func Hash(data []byte) string {
	sum := sha256.Sum256(data)
	return hex.EncodeToString(sum[:])
}

// JSON writes a value as RFC 8785 does: keys sorted, no white space, numbers as ECMAScript writes them.
//
// A value is what [encoding/json] decodes into an any: nil, bool, float64, string, []any or map[string]any.
// It fails for numbers that are not finite, strings that are not UTF-8, and other types.
func JSON(value any) ([]byte, error) {
	return appendJSON(nil, value)
}

func appendJSON(to []byte, value any) ([]byte, error) {
	switch value := value.(type) {
	case nil:
		return append(to, "null"...), nil
	case bool:
		return fmt.Append(to, value), nil
	case float64:
		return appendNumber(to, value)
	case string:
		return appendString(to, value)
	case []any:
		return appendArray(to, value)
	case map[string]any:
		return appendObject(to, value)
	default:
		return nil, fmt.Errorf("JSON has no %T", value)
	}
}

func appendArray(to []byte, items []any) ([]byte, error) {
	to = append(to, '[')
	for i, item := range items {
		if i > 0 {
			to = append(to, ',')
		}
		var err error
		if to, err = appendJSON(to, item); err != nil {
			return nil, err
		}
	}
	return append(to, ']'), nil
}

func appendObject(to []byte, members map[string]any) ([]byte, error) {
	to = append(to, '{')
	for i, key := range slices.SortedFunc(maps.Keys(members), compareUTF16) {
		if i > 0 {
			to = append(to, ',')
		}
		var err error
		if to, err = appendString(to, key); err != nil {
			return nil, err
		}
		to = append(to, ':')
		if to, err = appendJSON(to, members[key]); err != nil {
			return nil, err
		}
	}
	return append(to, '}'), nil
}

// compareUTF16 orders keys by UTF-16 code units (RFC 8785, section 3.2.3). The bytes of UTF-8, by which Go compares
// strings, put U+E000 to U+FFFF before the characters that UTF-16 writes as surrogate pairs.
func compareUTF16(a, b string) int {
	return slices.Compare(utf16.Encode([]rune(a)), utf16.Encode([]rune(b)))
}

var shortEscapes = map[rune]string{
	'\b': `\b`, '\t': `\t`, '\n': `\n`, '\f': `\f`, '\r': `\r`, '"': `\"`, '\\': `\\`,
}

func appendString(to []byte, text string) ([]byte, error) {
	if !utf8.ValidString(text) {
		return nil, fmt.Errorf("a string of %d bytes is not UTF-8", len(text))
	}
	to = append(to, '"')
	for _, char := range text {
		if escape, ok := shortEscapes[char]; ok {
			to = append(to, escape...)
		} else if char < 0x20 {
			to = fmt.Appendf(to, `\u%04x`, char)
		} else {
			to = utf8.AppendRune(to, char)
		}
	}
	return append(to, '"'), nil
}
