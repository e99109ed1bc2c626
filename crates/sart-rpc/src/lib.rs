//! The gRPC contract between the daemons: .proto files, generated code, Unix-socket transport.
