// The reference kernel: a fixed piece of work, the same on every instruction set and engine, timed around a reading.
// Its time says how fast the processor's clock runs at that moment. Called by take_reading.
#pragma once

namespace fdi::device {

// One run, in microseconds: about 60 at 4 GHz. Fits in the first-level cache, waits for nothing but itself.
double time_reference_us();

}  // namespace fdi::device
