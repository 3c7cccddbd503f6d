// The reference kernel: a fixed piece of work, the same on every instruction set and engine, timed around a reading.
// Its time says how fast the processor's clock runs at that moment and whether a neighbour is on the same core, and of
// several threads whether each has a processor of its own and how fast data pass between them. Called by take_reading.
#pragma once

namespace fdi::device {

// One run on each of so many OpenMP threads at once, in microseconds until all are done: about 40 at 4 GHz. Fits in the
// first-level cache, waits for nothing but itself; several threads then pass data on to each other: 35 more, or 95
// where that is slow.
double time_reference_us(int threads = 1);

}  // namespace fdi::device
