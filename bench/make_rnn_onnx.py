#!/usr/bin/python3
"""Writes the network of `fastdeepiot bench rnn` as an ONNX model with random weights, for ONNX Runtime.

make_rnn_onnx.py FILE TYPE IN UNITS STEPS BATCH, e.g. rnn.onnx gru 1000 120,120 20 1. GRU is the form with the reset
gate after the matrix product. Called by bench/compare_rnn.sh.
"""
import sys

import numpy
import onnx
from onnx import TensorProto, helper, numpy_helper

path, kind, features, units, steps, batch = sys.argv[1], sys.argv[2], int(sys.argv[3]), sys.argv[4], int(sys.argv[5]), int(sys.argv[6])
random = numpy.random.default_rng(1)
gates = {"gru": 3, "lstm": 4}[kind]
nodes, weights = [], []


def weight(name, *shape):
    weights.append(numpy_helper.from_array(random.uniform(-0.1, 0.1, shape).astype(numpy.float32), name))
    return name


weights.append(numpy_helper.from_array(numpy.array([1], numpy.int64), "directions"))
x, inputs = "x", features
for i, hidden in enumerate(int(u) for u in units.split(",")):
    extra = {"linear_before_reset": 1} if kind == "gru" else {}
    nodes.append(helper.make_node(kind.upper(), [x, weight(f"w{i}", 1, gates * hidden, inputs),
                                                 weight(f"r{i}", 1, gates * hidden, hidden),
                                                 weight(f"b{i}", 1, 2 * gates * hidden)],
                                  [f"y{i}"], hidden_size=hidden, **extra))
    nodes.append(helper.make_node("Squeeze", [f"y{i}", "directions"], [f"x{i}"]))  # (steps, directions, batch, hidden)
    x, inputs = f"x{i}", hidden
graph = helper.make_graph(nodes, "rnn", [helper.make_tensor_value_info("x", TensorProto.FLOAT, [steps, batch, features])],
                          [helper.make_tensor_value_info(x, TensorProto.FLOAT, [steps, batch, inputs])], weights)
model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 14)])
model.ir_version = 8
onnx.checker.check_model(model)
onnx.save(model, path)
