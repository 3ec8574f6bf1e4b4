//! The reference's rules: ranks, liveness, and who may form the cluster.
