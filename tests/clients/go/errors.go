package main

import (
	"context"
	"fmt"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	spb "google.golang.org/genproto/googleapis/rpc/status"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/protobuf/proto"

	"example.com/pecia-conformance/client"
	peciav1 "example.com/pecia-go/pecia/v1"
)

// checkError reads why a call failed, first from the bytes of the trailer, then as a program would.
func checkError(ctx context.Context, s *session, c *check) {
	var trailer metadata.MD
	missing := s.exactly("9.9.9")
	_, err := s.registry.GetBundle(ctx, &peciav1.GetBundleRequest{Bundle: missing}, grpc.Trailer(&trailer))
	if err == nil {
		c.fail("GetBundle", "expected NotFound, found a bundle")
	}
	equal(c, "code", codes.NotFound, client.FailureOf(err).Code)
	status, infos := detailsOf(c, trailer)
	equal(c, "code of the details", codes.NotFound, codes.Code(status.GetCode()))
	equal(c, "number of ErrorInfo", 1, len(infos))
	equal(c, "domain", "pecia", infos[0].GetDomain())
	equal(c, "reason", "BUNDLE_NOT_FOUND", infos[0].GetReason())
	equal(c, "metadata bundle_id", missing.GetBundleId(), infos[0].GetMetadata()["bundle_id"])
	equal(c, "metadata semver", missing.GetSemver(), infos[0].GetMetadata()["semver"])

	bad := &peciav1.BundleRef{
		BundleId: "not an id",
		Selector: &peciav1.BundleRef_Semver{Semver: version},
	}
	_, err = s.registry.GetBundle(ctx, &peciav1.GetBundleRequest{Bundle: bad})
	refused(c, "a bad id", err, codes.InvalidArgument, "IDENTIFIER_INVALID")
	violations := client.FailureOf(err).Violations
	equal(c, "number of violations", 1, len(violations))
	equal(c, "field", "bundle.bundle_id", violations[0].Field)
}

// detailsOf decodes the google.rpc.Status of a trailer. Programs need not do this: grpc-go has done so already.
func detailsOf(c *check, trailer metadata.MD) (*spb.Status, []*errdetails.ErrorInfo) {
	const key = "grpc-status-details-bin"
	values := trailer.Get(key)
	if len(values) != 1 {
		c.fail("trailer", fmt.Sprintf("expected one %s, found %d", key, len(values)))
	}
	status := &spb.Status{}
	c.noError(key, proto.Unmarshal([]byte(values[0]), status))
	var infos []*errdetails.ErrorInfo
	for _, detail := range status.GetDetails() {
		if !detail.MessageIs(&errdetails.ErrorInfo{}) {
			continue
		}
		info := &errdetails.ErrorInfo{}
		c.noError(key, detail.UnmarshalTo(info))
		infos = append(infos, info)
	}
	return status, infos
}
