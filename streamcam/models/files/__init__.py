"""Networks in files of their own: ONNX, OpenVINO, TorchScript and exported programs."""
