//! From a bare node to a bare node.
