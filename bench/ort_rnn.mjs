// ort_rnn.mjs MODULES MODEL STEPS BATCH IN [RUNS]: median time of an ONNX model in ONNX Runtime on one thread, as one
// line of JSON. Called by bench/compare_rnn.sh. MODULES is the folder that onnxruntime-node was installed in.
import { createRequire } from 'node:module';
import path from 'node:path';

const [modules, model, steps, batch, features, runs = '400'] = process.argv.slice(2);
const ort = createRequire(path.resolve(modules) + '/')('onnxruntime-node');
const session = await ort.InferenceSession.create(model, {
  intraOpNumThreads: 1,
  interOpNumThreads: 1,
  executionMode: 'sequential',
  graphOptimizationLevel: 'all',
});
const dims = [Number(steps), Number(batch), Number(features)];
const values = Float32Array.from({ length: dims[0] * dims[1] * dims[2] }, () => Math.random() * 2 - 1);
const feeds = { x: new ort.Tensor('float32', values, dims) };
for (let i = 0; i < 50; ++i) await session.run(feeds);
const times = [];
for (let i = 0; i < Number(runs); ++i) {
  const start = process.hrtime.bigint();
  await session.run(feeds);
  times.push(Number(process.hrtime.bigint() - start) / 1e6);
}
times.sort((a, b) => a - b);
console.log(JSON.stringify({ median_ms: times[times.length >> 1], min_ms: times[0] }));
