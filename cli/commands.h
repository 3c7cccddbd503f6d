// The subcommands, one file each. A command adds itself to the app with its options and a callback that does the work;
// cli.cc lists them. Callbacks throw core::Error for bad input and write their result to standard output.
#pragma once

namespace CLI {
class App;
}

namespace fdi::cli {

void add_train(CLI::App& app);     // train.cc
void add_eval(CLI::App& app);      // eval.cc
void add_info(CLI::App& app);      // info.cc
void add_data(CLI::App& app);      // data.cc
void add_bench(CLI::App& app);     // bench.cc
void add_profile(CLI::App& app);   // profile.cc
void add_sweep(CLI::App& app);     // sweep.cc
void add_fit(CLI::App& app);       // fit.cc
void add_predict(CLI::App& app);   // predict.cc
void add_db(CLI::App& app);        // db.cc
void add_shrink(CLI::App& app);    // shrink.cc
void add_expand(CLI::App& app);    // expand.cc
void add_compress(CLI::App& app);  // compress.cc
void add_report(CLI::App& app);    // report.cc

}  // namespace fdi::cli
