package main

import (
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/runtime/protoimpl"
)

// raw is a message whose encoding is its content.
type raw struct{ data []byte }

func (r *raw) Reset()                    { r.data = nil }
func (r *raw) String() string            { return string(r.data) }
func (r *raw) ProtoMessage()             {}
func (r *raw) Marshal() ([]byte, error)  { return r.data, nil }
func (r *raw) Unmarshal(in []byte) error { r.data = append([]byte(nil), in...); return nil }

// message is the same for the library from version 1.2 on, which asks messages for their reflection.
type message struct{ raw }

func (m *message) ProtoReflect() protoreflect.Message {
	return protoimpl.X.ProtoMessageV2Of(&m.raw).ProtoReflect()
}
