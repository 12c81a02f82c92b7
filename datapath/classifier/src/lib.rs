//! weft-classifier
