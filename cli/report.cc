// `fastdeepiot report`: what compression achieved, as a page of pictures and tables, a table on the terminal, and JSON.
#include <fmt/format.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <memory>
#include <nlohmann/json.hpp>

#include "cli/commands.h"
#include "cli/report_landscape.h"
#include "cli/report_measure.h"
#include "cli/report_page.h"
#include "cli/report_tables.h"
#include "cli/terminal.h"
#include "core/error.h"
#include "core/file.h"

namespace fdi::cli {
namespace {

namespace fs = std::filesystem;

struct ReportFlags {
  CommonOptions common;  // --json
  TimingOptions timing;
  std::string folder, out, figures;
  bool measure = false;
};

// Where pictures are drawn: the folder that was asked for, or one that goes when the page is written.
class Workshop {
 public:
  explicit Workshop(const std::string& folder) : folder_(folder), passing_(folder.empty()) {
    if (passing_) {
      const char* given = std::getenv("TMPDIR");
      const std::string place = given == nullptr || *given == '\0' ? "/tmp" : given;
      folder_ = place + "/fastdeepiot-report-XXXXXX";
      if (::mkdtemp(folder_.data()) == nullptr)
        core::fail("{}: cannot make a folder for the pictures there: {}; give --figures DIR, or set TMPDIR", place,
                   std::strerror(errno));
    } else {
      std::error_code error;
      fs::create_directories(folder_, error);
      if (error) core::fail("--figures {}: cannot make the folder: {}", folder_, error.message());
    }
  }
  ~Workshop() {
    std::error_code ignored;
    if (passing_) fs::remove_all(folder_, ignored);
  }
  Workshop(const Workshop&) = delete;
  Workshop& operator=(const Workshop&) = delete;
  std::string file(const std::string& name) const { return (fs::path(folder_) / name).string(); }

 private:
  std::string folder_;
  bool passing_;
};

Section draw(const Experiment& experiment, const ReportFlags& flags, const Workshop& workshop, size_t number) {
  Section section{experiment, {}, {}};
  std::vector<Picture> pictures = pictures_of(experiment);
  std::string why;
  if (const auto model = landscape_model(experiment, flags.timing.model, store_path(flags.timing.database), why))
    if (auto landscape = landscape_picture(experiment, *model, why))
      pictures.insert(pictures.end() - (pictures.back().name == "history" ? 1 : 0), std::move(*landscape));
  if (!why.empty()) section.notes.push_back(why);
  for (Picture& picture : pictures) {
    const std::string prefix = workshop.file(number == 1 ? picture.name : fmt::format("{}_{}", picture.name, number));
    const profile::Plotted plotted = profile::plot(prefix, picture.panels, picture.layout);
    if (!plotted.missing.empty()) {
      section.notes.push_back(plotted.missing);
      break;
    }
    section.pictures.push_back({std::move(picture), core::read_file(prefix + ".svg")});
  }
  return section;
}

void report(const ReportFlags& flags) {
  std::vector<Run> runs = read_runs(flags.folder, flags.measure);
  if (flags.measure) measure_runs(runs, flags.timing);
  const std::vector<Experiment> experiments = group_runs(std::move(runs));
  const std::string out = flags.out.empty() ? (fs::path(flags.folder) / "report.html").string() : flags.out;
  check_writable(out);
  const Workshop workshop(flags.figures);
  std::vector<Section> sections;
  sections.reserve(experiments.size());
  for (const Experiment& experiment : experiments)
    sections.push_back(draw(experiment, flags, workshop, sections.size() + 1));
  core::write_file_atomically(out, report_page(sections));

  const CommonOptions& common = flags.common;
  for (const Section& section : sections) {
    const Experiment& experiment = section.experiment;
    const Run& first = experiment.runs.front();
    print(common, fmt::format("{}; data {}\n\n{}\n", first.machine, first.data, text_of(methods_table(experiment))));
    if (experiment.runs.size() > best_runs(experiment).size()) print(common, text_of(runs_table(experiment)) + "\n");
    print(common, headline(experiment) + "\n");
    for (const std::string& line : section.notes) note("{}", line);
  }
  print(common, fmt::format("page: {}\n", out));
  write_result(common, results_json(experiments));
}

}  // namespace

void add_report(CLI::App& app) {
  CLI::App* command = app.add_subcommand("report", "Show what compression achieved, on a page and in a table");
  const auto flags = std::make_shared<ReportFlags>();
  command->add_option("folder", flags->folder, "A run of `compress`, or a folder that holds several")
      ->type_name("DIR")
      ->required();
  command->add_option("--out", flags->out, "The page; DIR/report.html unless given")->type_name("FILE");
  command->add_flag("--measure", flags->measure,
                    "Time all networks here, in turn, and show that in place of what the runs measured");
  command->add_option("--figures", flags->figures, "Keep the pictures, their data and gnuplot scripts in this folder")
      ->type_name("DIR");
  command->add_option("--json", flags->common.json, "Write all networks' figures to FILE; - is standard output")
      ->type_name("FILE");
  add_timing(*command, flags->timing);
  command->footer(
      "Example:\n  fastdeepiot report runs --json results.json\n  fastdeepiot report runs/small --out small.html");
  command->callback([flags, command] {
    for (const char* option : {"--engine", "--time-isa", "--time-threads"})
      if (command->count(option) > 0 && !flags->measure) core::fail("{}: nothing is timed without --measure", option);
    const std::string& file = flags->common.json;
    if (!file.empty() && file != "-") check_writable(file);
    report(*flags);
  });
}

}  // namespace fdi::cli
