package canonical

import (
	"fmt"
	"math"
	"strconv"
	"strings"
)

// appendNumber writes a number as ECMAScript's Number::toString does, which RFC 8785 prescribes.
//
// The shortest digits that read back as the same double are those of [strconv]; only where the point goes, and from
// where on there is an exponent, differs.
func appendNumber(to []byte, number float64) ([]byte, error) {
	if math.IsNaN(number) || math.IsInf(number, 0) {
		return nil, fmt.Errorf("JSON has no number %v", number)
	}
	if number == 0 {
		return append(to, '0'), nil // -0 too
	}
	if number < 0 {
		to, number = append(to, '-'), -number
	}
	digits, point, err := shortestDigits(number)
	if err != nil {
		return nil, err
	}
	switch {
	case len(digits) <= point && point <= 21:
		to = append(to, digits...)
		to = append(to, strings.Repeat("0", point-len(digits))...)
	case 0 < point && point <= 21:
		to = append(to, digits[:point]...)
		to = append(to, '.')
		to = append(to, digits[point:]...)
	case -6 < point && point <= 0:
		to = append(to, "0."...)
		to = append(to, strings.Repeat("0", -point)...)
		to = append(to, digits...)
	default:
		to = append(to, digits[0])
		if len(digits) > 1 {
			to = append(to, '.')
			to = append(to, digits[1:]...)
		}
		to = fmt.Appendf(to, "e%+d", point-1)
	}
	return to, nil
}

// shortestDigits returns the digits d and the exponent n of a positive number 0.d × 10ⁿ.
func shortestDigits(number float64) (digits string, point int, err error) {
	mantissa, exponent, _ := strings.Cut(strconv.FormatFloat(number, 'e', -1, 64), "e")
	power, err := strconv.Atoi(exponent)
	return strings.Replace(mantissa, ".", "", 1), power + 1, err
}
