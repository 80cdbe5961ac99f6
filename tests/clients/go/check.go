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
		c.fail(where, "expected "+show(expected)+", found "+show(found))
	}
}

// show writes a value on one line of bounded length.
func show(value any) string {
	text := fmt.Sprint(value)
	if plain, isText := value.(string); isText {
		text = strconv.QuoteToASCII(plain)
	}
	if longest := 300; len(text) > longest {
		text = fmt.Sprintf("%s... (%d bytes)", text[:longest], len(text))
	}
	return text
}
