#include "cli/report_page.h"

#include <fmt/format.h>

#include <algorithm>
#include <cctype>
#include <utility>

#include "cli/report_tables.h"
#include "core/progress.h"

namespace fdi::cli {

extern const char kReportStyle[];  // report.css

namespace {

std::string escape(const std::string& text) {
  std::string out;
  for (const char c : text) {
    switch (c) {
      case '&':
        out += "&amp;";
        break;
      case '<':
        out += "&lt;";
        break;
      case '>':
        out += "&gt;";
        break;
      case '"':
        out += "&quot;";
        break;
      case '\'':
        out += "&#39;";
        break;
      default:
        out += c;
    }
  }
  return out;
}

void replace_all(std::string& text, const std::string& from, const std::string& to) {
  for (size_t at = 0; (at = text.find(from, at)) != std::string::npos; at += to.size())
    text.replace(at, from.size(), to);
}

// gnuplot's file as a part of a page: without its head, and with ids that no other picture has.
std::string inlined(const DrawnPicture& drawn, const std::string& id) {
  std::string svg = drawn.svg.substr(drawn.svg.find("<g"));
  for (const char quote : {'\'', '"'})
    replace_all(svg, fmt::format(" id={}", quote), fmt::format(" id={}{}-", quote, id));
  replace_all(svg, "xlink:href='#", "href='#" + id + "-");
  replace_all(svg, "url(#", "url(#" + id + "-");
  for (size_t at = 0; (at = svg.find("<title>gnuplot_plot_", at)) != std::string::npos;)  // of curves without a name
    svg.erase(at, svg.find("</title>", at) + 8 - at);
  const profile::Layout& size = drawn.picture.layout;
  return fmt::format(
      "<svg viewBox=\"0 0 {} {}\" role=\"img\" aria-labelledby=\"{}-title\"><title id=\"{}-title\">{}</title>{}",
      size.width, size.height, id, id, escape(drawn.picture.title), svg);
}

std::string figure(const DrawnPicture& drawn, const std::string& id) {
  return fmt::format(
      "<figure class=\"{}\">\n<h3>{}</h3>\n<div class=\"scroll\" "
      "tabindex=\"0\">{}</div>\n<figcaption>{}</figcaption>\n</figure>\n",
      drawn.picture.layout.width < 600 ? "half" : "full", escape(drawn.picture.title), inlined(drawn, id),
      escape(drawn.picture.caption));
}

// `text_columns`: how many of the first columns are words.
std::string table(const Table& table, const std::string& caption, size_t text_columns = 1) {
  const auto row = [&](const std::vector<std::string>& cells, bool head, bool rule) {
    std::string html = rule ? "<tr class=\"rule\">" : "<tr>";
    for (size_t i = 0; i < cells.size(); ++i) {
      const bool heads = head || i == 0;
      html += fmt::format("<{0}{1}{2}>{3}</{0}>", heads ? "th" : "td",
                          heads ? (head ? " scope=\"col\"" : " scope=\"row\"") : "",
                          i < text_columns ? " class=\"text\"" : "", escape(cells[i]));
    }
    return html + "</tr>\n";
  };
  std::string html =
      fmt::format("<div class=\"scroll\" tabindex=\"0\"><table>\n<caption>{}</caption>\n<thead>{}</thead>\n<tbody>\n",
                  escape(caption), row(table.header, true, false));
  for (size_t i = 0; i < table.rows.size(); ++i) html += row(table.rows[i], false, i > 0 && i == table.rule);
  return html + "</tbody>\n</table></div>\n";
}

std::string facts(const std::vector<std::pair<std::string, std::string>>& list) {
  std::string html = "<dl>\n";
  for (const auto& [name, value] : list) html += fmt::format("<dt>{}</dt><dd>{}</dd>\n", escape(name), escape(value));
  return html + "</dl>\n";
}

std::string how_made(const Experiment& experiment) {
  const Run& first = experiment.runs.front();
  std::string html = "<h3>How this was made</h3>\n" + facts({{"device", first.machine},
                                                             {"engine", first.engine},
                                                             {"instruction set", first.isa},
                                                             {"threads", std::to_string(first.threads)},
                                                             {"data", first.data},
                                                             {"data settings", first.settings}});
  for (const Run& run : experiment.runs)
    html += fmt::format("<h4>{}{}</h4>\n<pre>{}</pre>\n<p class=\"small\">seed {}, {}; {}{}{}</p>\n", escape(run.name),
                        run.target.empty() ? "" : ", " + escape(run.target), escape(run.command), run.seed,
                        core::format_duration(run.seconds), escape(run.file),
                        run.forced ? "; made elsewhere, by this device's time model alone" : "",
                        run.missed.empty() ? "" : "; the budget is missed: " + escape(run.missed));
  return html;
}

std::string section(const Section& s, int number, bool several) {
  const Experiment& experiment = s.experiment;
  const Run& first = experiment.runs.front();
  std::string html = "<section>\n";
  if (several) html += fmt::format("<h2>{}; {}</h2>\n", escape(first.machine), escape(first.data));
  html += fmt::format("<p class=\"lead\">{}</p>\n<div class=\"figures\">\n", escape(headline(experiment)));
  for (const DrawnPicture& drawn : s.pictures) html += figure(drawn, fmt::format("p{}-{}", number, drawn.picture.name));
  html += "</div>\n";
  for (const std::string& note : s.notes) html += fmt::format("<p class=\"note\">{}</p>\n", escape(note));
  html +=
      "<h3>In numbers</h3>\n" +
      table(methods_table(experiment),
            "Units of each layer, then what the network achieves: the original and each method's best run (the fastest "
            "within half a point of the original's accuracy; where there is none, the most accurate). Runs that differ "
            "in their seed alone are one: mean and, in brackets, range; pictures show the run of middle accuracy. "
            "Choosing and judging both look at the test images.");
  if (experiment.runs.size() > best_runs(experiment).size()) html += table(runs_table(experiment), "All runs.", 2);
  for (const Run& run : experiment.runs)
    if (!run.candidates.empty())
      html += table(candidates_table(run), fmt::format("{}{}: networks that were measured before one was chosen.",
                                                       run.name, run.target.empty() ? "" : ", " + run.target));
  return html + how_made(experiment) + "</section>\n";
}

}  // namespace

std::string headline(const Experiment& experiment) {
  struct Best {
    const Run* run;
    std::string name;
    Design design;                          // mean of its seeds
    std::pair<bool, double> time() const {  // measured times before predicted ones
      return {!design.measured_ms, design.ms()};
    }
  };
  const Design& original = experiment.original;
  std::vector<Best> best;
  for (const Run* run : best_runs(experiment)) {
    const std::vector<const Run*> seeds = seeds_of(experiment, *run);
    const bool repeated = distinct_seeds(seeds).size() < seeds.size();
    const std::string count =
        seeds.size() > 1 ? fmt::format(" (mean of {} {})", seeds.size(), repeated ? "runs" : "seeds") : "";
    best.push_back({run, run->name + count, mean_of(seeds)});
  }
  const Best* fastest = nullptr;
  const Best* plain = nullptr;  // DeepIoT, what the others are compared with
  for (const Best& b : best) {
    if (b.run->name == "DeepIoT" || (!plain && b.run->name == "DeepIoT (predicted)")) plain = &b;
    if (keeps_accuracy(experiment, b.design) && (!fastest || b.time() < fastest->time())) fastest = &b;
  }
  if (!original.accuracy) return fmt::format("The original takes {:.3f} ms.", original.ms());
  if (!fastest) {
    const Best& closest =
        *std::ranges::max_element(best, {}, [](const Best& b) { return b.design.accuracy.value_or(0); });
    return fmt::format(
        "No network here is within half a point of the original's accuracy ({}, {:.3f} ms). The closest is {}'s: {} in "
        "{:.3f} ms.",
        percent(original.accuracy), original.ms(), closest.name, percent(closest.design.accuracy), closest.design.ms());
  }
  std::string name = fastest->name;
  name[0] = static_cast<char>(std::toupper(static_cast<unsigned char>(name[0])));
  // Predicted times are compared with predicted ones only.
  const bool measured = fastest->design.measured_ms && original.measured_ms;
  const double before = measured ? *original.measured_ms : original.predicted_ms.value_or(original.ms());
  std::string text = fmt::format(
      "{} makes the network {:.1f} times as fast: {:.3f} ms instead of {:.3f} ms, at {} accuracy (the original's is "
      "{}).",
      name, before / fastest->design.ms(), fastest->design.ms(), before, percent(fastest->design.accuracy),
      percent(original.accuracy));
  if (plain && plain != fastest && plain->design.measured_ms.has_value() == measured &&
      plain->design.ms() > fastest->design.ms())
    text += fmt::format(" That is {:.0f}% less time than DeepIoT's {:.3f} ms at {}.",
                        100 * (1 - fastest->design.ms() / plain->design.ms()), plain->design.ms(),
                        percent(plain->design.accuracy));
  if (!fastest->run->missed.empty()) text += fmt::format(" It misses its budget: {}.", fastest->run->missed);
  if (!measured) text += " These times are predicted, not measured.";
  return text;
}

std::string report_page(const std::vector<Section>& sections) {
  std::string html = fmt::format(
      "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n<meta name=\"viewport\" "
      "content=\"width=device-width, initial-scale=1\">\n<meta name=\"color-scheme\" content=\"light dark\">\n"
      "<title>FastDeepIoT: networks compressed for time</title>\n<style>\n{}</style>\n</head>\n<body>\n<main>\n"
      "<h1>Compressed for time</h1>\n",
      kReportStyle);
  if (sections.size() > 1)
    html += fmt::format(
        "<p class=\"note\">These runs are of {} devices, data sets or original networks. They cannot be "
        "compared, so each has a part of its own.</p>\n",
        sections.size());
  for (size_t i = 0; i < sections.size(); ++i)
    html += section(sections[i], static_cast<int>(i) + 1, sections.size() > 1);
  return html + "</main>\n</body>\n</html>\n";
}

}  // namespace fdi::cli
