//! CRD types of sart.terassyi.net/v1alpha2, validated names, conditions.
