"""Reads a safetensors file as the format's public description says, and checks it. Called by model_file_test.cc:
read_safetensors.py FILE NUMBER_OF_TENSORS SUM_OF_ALL_VALUES"""
import json
import struct
import sys

import numpy

path, count, total = sys.argv[1], int(sys.argv[2]), float(sys.argv[3])
with open(path, "rb") as file:
    (length,) = struct.unpack("<Q", file.read(8))
    header = json.loads(file.read(length))
    data = file.read()
metadata = header.pop("__metadata__")
assert all(isinstance(value, str) for value in metadata.values()), "metadata values are strings"
assert json.loads(metadata["network"])["name"] == "small"
assert len(header) == count, (len(header), count)
end, got = 0, 0.0
for name, entry in sorted(header.items(), key=lambda item: item[1]["data_offsets"]):
    begin, stop = entry["data_offsets"]
    assert begin == end, f"{name}: a gap before offset {begin}"
    values = numpy.frombuffer(data[begin:stop], "<f4").reshape(entry["shape"])
    got += float(values.sum(dtype="f8"))
    end = stop
assert end == len(data), (end, len(data))
assert abs(got - total) < 1e-5, (got, total)
