//! weft-pipeline
