"""How weights are used: on whole pictures, in windows, as ONNX files, in bytes."""
