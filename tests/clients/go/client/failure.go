package client

import (
	"fmt"
	"strings"
	"time"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	peciav1 "example.com/pecia-go/pecia/v1"
)

const (
	// domain marks the ErrorInfo of Pecia; proxies in between may add others.
	domain = "pecia"

	// reasonPrefix is what the values of the enum have and the reasons of an ErrorInfo have not.
	reasonPrefix = "ERROR_REASON_"
)

// Failure is why a call, or one render of several, failed.
type Failure struct {
	Code    codes.Code
	Message string

	// Reason tells failures apart: the name of a peciav1.ErrorReason without its prefix, such as TEMPLATE_SYNTAX.
	// It is empty when the failure isn't the service's own: a lost connection, for example, or a deadline.
	Reason string

	// Metadata holds names, paths, limits and sizes that belong to the reason.
	Metadata map[string]string

	// Violations are the bad fields.
	Violations []Violation

	// RetryAfter is how long to wait before a retry; zero when the service doesn't say.
	RetryAfter time.Duration
}

// Violation is one bad field: its path in the request, and what is wrong with it.
type Violation struct{ Field, Description string }

// Error implements error.
func (f *Failure) Error() string {
	if f.Reason == "" {
		return fmt.Sprintf("%s: %s", f.Code, f.Message)
	}
	return fmt.Sprintf("%s (%s): %s", f.Code, f.Reason, f.Message)
}

// FailureOf decodes the error of a call, or returns nil for a nil error.
func FailureOf(err error) *Failure {
	if err == nil {
		return nil
	}
	given := status.Convert(err)
	failure := &Failure{Code: given.Code(), Message: given.Message()}
	for _, detail := range given.Details() {
		switch detail := detail.(type) {
		case *errdetails.ErrorInfo:
			if detail.GetDomain() == domain {
				failure.Reason = detail.GetReason()
				failure.Metadata = detail.GetMetadata()
			}
		case *errdetails.BadRequest:
			failure.Violations = violationsOf(detail.GetFieldViolations())
		case *errdetails.RetryInfo:
			failure.RetryAfter = detail.GetRetryDelay().AsDuration()
		}
	}
	return failure
}

// FailureOfRender decodes one failed outcome of RenderBatch or RenderStream, or returns nil when there is none.
func FailureOfRender(given *peciav1.RenderError) *Failure {
	if given == nil {
		return nil
	}
	return &Failure{
		Code:       codes.Code(given.GetCode()),
		Message:    given.GetMessage(),
		Reason:     strings.TrimPrefix(given.GetReason().String(), reasonPrefix),
		Metadata:   given.GetMetadata(),
		Violations: violationsOf(given.GetFieldViolations()),
		RetryAfter: given.GetRetryDelay().AsDuration(),
	}
}

// violationsOf copies violations; those of a call and those of one render of several are different messages.
func violationsOf[V interface {
	GetField() string
	GetDescription() string
}](given []V) []Violation {
	violations := make([]Violation, len(given))
	for i, each := range given {
		violations[i] = Violation{each.GetField(), each.GetDescription()}
	}
	return violations
}
