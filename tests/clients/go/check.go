package main

import (
	"fmt"
	"strconv"
)

// check counts the comparisons of one case, and ends the case at the first that fails.
type check struct {
	count int

	// note is what a reader of a passed case has to know.
	note string
}

// failed is what ends a case: only runCase recovers it.
type failed struct{ detail string }

// fail ends the case, as FailNow of the package testing ends a test.
func (c *check) fail(where string, why any) {
	panic(failed{fmt.Sprintf("%s: %v", where, why)})
}

// noError ends the case if there was an error that it does not expect.
func (c *check) noError(where string, err error) {
	if err != nil {
		c.fail(where, err)
	}
}

// equal makes one comparison.
func equal[T comparable](c *check, where string, expected, found T) {
	c.count++
	if expected != found {
		wanted, got := aroundDifference(show(expected), show(found))
		c.fail(where, "expected "+wanted+", found "+got)
	}
}

// show writes a value on one line.
func show(value any) string {
	if text, isText := value.(string); isText {
		return strconv.QuoteToASCII(text)
	}
	return fmt.Sprint(value)
}

// aroundDifference cuts two texts, where they are long, to what is around their first difference.
func aroundDifference(a, b string) (string, string) {
	const before, after = 40, 160
	differs := 0
	for differs < min(len(a), len(b)) && a[differs] == b[differs] {
		differs++
	}
	cut := func(text string) string {
		if differs > before {
			text = "..." + text[differs-before:]
		}
		if len(text) > before+after {
			text = text[:before+after] + "..."
		}
		return text
	}
	return cut(a), cut(b)
}
