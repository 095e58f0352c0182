#include "cli/run_view.h"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <exception>

#include "cli/text.h"
#include "registry/report.h"
#include "text/display.h"

namespace silc {

namespace {

constexpr double kLineSeconds = 10;    // between lines of progress where there is no terminal
constexpr double kIngestSeconds = 10;  // between updates of the registry
constexpr double kDrawSeconds = 0.5;
constexpr size_t kMetricsOnALine = 6;

double now() { return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count(); }

// " on GPU 1"; nothing on the CPU.
std::string on_gpu(const CellProgress& progress) {
  return progress.gpu.empty() ? "" : " on " + gpu_label(progress.gpu);
}

// "evaluator/metric" or "evaluator/metric@weights"
bool is_column(const std::string& column, const CellMetric& metric, const std::string& standard_weights) {
  const std::string name = metric.evaluator + "/" + metric.name;
  return column == name + "@" + metric.weights || (column == name && metric.weights == standard_weights);
}

}  // namespace

RunView::RunView(const Session& session, Registry& registry, const std::vector<CellTask>& tasks,
                 std::vector<std::string> columns, int64_t jobs, std::function<size_t()> to_come)
    : session_(session),
      registry_(registry),
      tasks_(tasks),
      columns_(std::move(columns)),
      jobs_(jobs),
      to_come_(std::move(to_come)),
      utf8_(is_utf8_locale()),
      last_lines_(now()),
      last_ingest_(now()) {
  if (!session.quiet && isatty(STDERR_FILENO) == 1) live_ = std::make_unique<LiveLines>(STDERR_FILENO);
  added(0);
}

void RunView::added(size_t first) {
  for (size_t index = first; index < tasks_.size(); ++index)
    label_width_ = std::max(label_width_, display_width(label(index)));
}

void RunView::placed(size_t index, const std::string& where) { places_[index] = where; }

void RunView::started(size_t index, const CellProgress& progress) {
  running_[index] = progress;
  start_times_[index] = now();
  elsewhere_.erase(index);
  for (const HealthWarning& earlier : progress.warnings) told_[index].insert(earlier.check);
  const std::string place = places_.contains(index) ? ", " + places_[index] : "";
  if (progress.step > 0)
    say(fmt::format("{}: goes on{}, last seen at step {}{}", label(index), on_gpu(progress), progress.step, place));
  else if (live_ == nullptr)
    say(label(index) + ": started" + on_gpu(progress) + place);
  if (session_.verbose) say("  in " + tasks_[index].folder.path.string());
}

void RunView::progressed(size_t index, const CellProgress& progress) {
  running_[index] = progress;
  say_warnings(index, progress);
}

void RunView::ended(size_t index, const CellOutcome& outcome) {
  running_.erase(index);
  places_.erase(index);
  elsewhere_.erase(index);
  ++over_;
  last_draw_ = 0;  // the line of an ended cell goes at once
  ingest(index);
  switch (outcome.end) {
    case CellEnd::reused:
      ++reused_;
      break;
    case CellEnd::finished:
      if (outcome.elsewhere) {
        say_finished(index, "finished by another silc");
        break;
      }
      seconds_of_finished_ += outcome.wall_seconds;
      ++finished_here_;
      say_finished(index, "finished in " + format_duration(outcome.wall_seconds));
      break;
    case CellEnd::paused:
      seconds_of_finished_ += outcome.wall_seconds;
      ++finished_here_;
      say(fmt::format("{}: compared after {:.0f}% of its budget", label(index), 100 * *tasks_[index].until));
      break;
    case CellEnd::failed:
      warning(label(index) + " failed: " + outcome.message);
      break;
    case CellEnd::interrupted:
      say(label(index) + ": interrupted" + (outcome.message.empty() ? "" : ", " + outcome.message) +
          "; the next silc run goes on");
      break;
    case CellEnd::not_started:
    case CellEnd::left:
      break;
  }
}

void RunView::running_elsewhere(size_t index) {
  elsewhere_.insert(index);
  say(label(index) + ": another silc is at work on it; its end is waited for when nothing else is left to do");
}

void RunView::stopping(const std::string& words) { say(words); }

void RunView::warning(const std::string& message) {
  if (live_ != nullptr)
    live_->message("silc: " + message);
  else
    complain(message);
}

void RunView::note(const std::string& message) { say(message); }

void RunView::tick() {
  const double time = now();
  if (time - last_ingest_ >= kIngestSeconds) {
    last_ingest_ = time;
    for (const auto& [index, progress] : running_) ingest(index);
  }
  if (live_ != nullptr && time - last_draw_ >= kDrawSeconds) {
    last_draw_ = time;
    redraw();
  }
  if (live_ == nullptr && time - last_lines_ >= kLineSeconds) {
    last_lines_ = time;
    write_lines();
  }
}

void RunView::say(const std::string& line) {
  if (live_ != nullptr)
    live_->message(line);
  else
    silc::note(session_, line);
}

void RunView::say_warnings(size_t index, const CellProgress& progress) {
  for (const HealthWarning& each : progress.warnings)
    if (told_[index].insert(each.check).second)
      warning(fmt::format("warning: {}, step {}: {}", label(index), each.step, each.message));
}

void RunView::redraw() {
  const size_t width = live_->width() - 1;
  const size_t label_width = std::min(label_width_, width / 3);
  const size_t bar = std::clamp<size_t>(width / 5, 5, 40);
  const auto line = [&](const std::string& head, double fraction, const std::string& rest) {
    std::string text = cut(head, label_width);
    text.append(label_width - display_width(text), ' ');
    return cut(text + " " + progress_bar(fraction, bar, utf8_) + " " + rest, width);
  };
  std::vector<std::string> lines;
  const size_t most = std::max<size_t>(live_->height(), 3) - 2;
  for (const auto& [index, progress] : running_)
    if (lines.size() < most) lines.push_back(line(label(index), progress.fraction, describe(index, progress)));
  std::string rest = fmt::format("{}/{} cells", over_, total());
  if (const auto left = seconds_left()) rest += "  " + format_duration(*left) + " left";
  if (const std::string waiting = waiting_jobs(); !waiting.empty()) rest += "  " + waiting;
  if (!elsewhere_.empty()) rest += fmt::format("  {} running elsewhere", elsewhere_.size());
  lines.push_back(line("total", done(), rest));
  live_->show(lines);
}

void RunView::write_lines() {
  for (const auto& [index, progress] : running_) say(label(index) + ": " + describe(index, progress));
  if (const std::string waiting = waiting_jobs(); !waiting.empty()) say(waiting);
}

// A registry that cannot be written (a full disk) stops no training: the run folders hold everything.
void RunView::ingest(size_t index) {
  if (!std::filesystem::exists(tasks_[index].folder.cell())) return;
  try {
    registry_.ingest(tasks_[index].folder.path);
  } catch (const std::exception& error) {
    if (registry_fault_ == error.what()) return;
    registry_fault_ = error.what();
    warning("the registry could not be written, silc registry rebuild will mend it: " + registry_fault_);
  }
}

std::string RunView::waiting_jobs() const {
  size_t number = 0;
  std::string first;
  for (const auto& [index, place] : places_) {
    if (running_.contains(index) || place.empty()) continue;
    if (number++ == 0) first = place;
  }
  return number == 0 ? "" : fmt::format("{} not started, {}", count(static_cast<int64_t>(number), "cell"), first);
}

std::string RunView::label(size_t index) const {
  const ResolvedCell& cell = tasks_[index].cell;
  return fmt::format("{}, {}", row_label(cell), cell_label(cell));
}

std::string RunView::describe(size_t index, const CellProgress& progress) const {
  if (progress.phase == CellPhase::starting && progress.last_event.empty()) return "starting" + on_gpu(progress);
  if (progress.phase == CellPhase::evaluating) return "evaluating " + progress.evaluation;
  std::string text = progress.total_steps ? fmt::format("{}/{}", progress.step, *progress.total_steps)
                                          : fmt::format("step {}", progress.step);
  text += fmt::format("  {:.0f}%", 100 * progress.fraction);
  if (!progress.gpu.empty()) text += "  " + gpu_label(progress.gpu);
  if (progress.rate > 0) text += fmt::format("  {} img/s", format_number(progress.rate));
  if (progress.loss) text += "  loss " + format_number(*progress.loss);
  if (const auto left = progress.seconds_left()) text += "  " + format_duration(*left) + " left";
  if (const auto place = places_.find(index); place != places_.end()) text += "  " + place->second;
  return text;
}

// Labels side by side, so that what follows stands below each other. On a terminal metrics that do not fit go on the
// next line, whole.
void RunView::say_finished(size_t index, const std::string& what) {
  std::string line = label(index) + ":";
  line.append(label_width_ + 2 - std::min(label_width_ + 2, display_width(line)), ' ');
  line += what;
  const size_t width = live_ != nullptr ? live_->width() : std::string::npos;
  const std::vector<std::string> metrics = main_metrics(index);
  size_t column = display_width(line);
  for (size_t i = 0; i < metrics.size(); ++i) {
    line += i == 0 ? ":" : ",";
    const size_t needed = 1 + display_width(metrics[i]) + 1;  // with the comma that may follow
    const bool fits = column + 1 + needed <= width;
    line += fits ? " " : "\n    ";
    column = (fits ? column + 1 : 3) + needed;
    line += metrics[i];
  }
  say(line);
}

std::vector<std::string> RunView::main_metrics(size_t index) const {
  const CellTask& task = tasks_[index];
  const std::string standard = task.cell.weights.empty() ? "" : task.cell.weights.front();
  const auto metrics = read_metrics(task.folder);
  std::vector<const CellMetric*> chosen;
  for (const std::string& column : columns_)
    for (const CellMetric& metric : metrics)
      if (is_column(column, metric, standard) && std::find(chosen.begin(), chosen.end(), &metric) == chosen.end())
        chosen.push_back(&metric);
  if (chosen.empty())
    for (const CellMetric& metric : metrics)
      if (metric.weights == standard) chosen.push_back(&metric);
  if (chosen.size() > kMetricsOnALine) chosen.resize(kMetricsOnALine);
  const auto name_of = [&](const CellMetric& metric) {
    const bool alone = std::count_if(chosen.begin(), chosen.end(), [&](const CellMetric* other) {
                         return other->name == metric.name && other->weights == metric.weights;
                       }) == 1;
    return (alone ? "" : metric.evaluator + "/") + metric.name;
  };
  std::vector<std::string> texts;
  for (const CellMetric* metric : chosen)
    texts.push_back(
        named_value(name_of(*metric) + (metric->weights == standard ? "" : "@" + metric->weights), metric->value));
  return texts;
}

double RunView::done() const {
  double cells = static_cast<double>(over_);
  for (const auto& [index, progress] : running_) cells += progress.fraction;
  return total() == 0 ? 1 : cells / static_cast<double>(total());
}

std::optional<double> RunView::seconds_left() const {
  double of_running = 0;
  double whole_cells = static_cast<double>(finished_here_);
  double seconds_of_cells = seconds_of_finished_;
  for (const auto& [index, progress] : running_) {
    of_running += progress.seconds_left().value_or(0);
    if (progress.fraction <= 0 || progress.seconds <= 0) continue;
    seconds_of_cells += progress.seconds / progress.fraction;
    whole_cells += 1;
  }
  if (whole_cells == 0) return std::nullopt;
  const auto waiting = static_cast<double>(total() - over_ - running_.size());
  return (of_running + waiting * seconds_of_cells / whole_cells) / static_cast<double>(jobs_);
}

}  // namespace silc
