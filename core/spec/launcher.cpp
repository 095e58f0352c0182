#include "spec/launcher.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cctype>

#include "spec/table_reader.h"

namespace silc {
namespace {

constexpr Range kCount{.minimum = 1, .maximum = 1e6};
constexpr Range kCountOrNone{.minimum = 0, .maximum = 1e6};

// What silc itself tells sbatch, or must not be told otherwise for its jobs to be found again.
constexpr std::array<std::string_view, 20> kOwnOptions = {
    "--array",    "--dependency", "--job-name", "--output",  "--error",      "--open-mode", "--export", "--signal",
    "--parsable", "--wrap",       "--chdir",    "--requeue", "--no-requeue", "--wait",      "--hold",   "--test-only",
    "--ntasks",   "--input",      "-a",         "-J"};

// Options that have a key of their own.
constexpr std::array<std::pair<std::string_view, std::string_view>, 9> kKeys = {{{"--partition", "partition"},
                                                                                 {"--account", "account"},
                                                                                 {"--qos", "qos"},
                                                                                 {"--constraint", "constraint"},
                                                                                 {"--gres", "gres"},
                                                                                 {"--time", "time"},
                                                                                 {"--mem", "mem"},
                                                                                 {"--nodes", "nodes"},
                                                                                 {"--cpus-per-task", "cpus_per_task"}}};

bool is_word(const std::string& text) {
  return std::none_of(text.begin(), text.end(), [](unsigned char c) { return c <= ' ' || c == 0x7f; });
}

bool is_line(const std::string& text) {
  return std::none_of(text.begin(), text.end(), [](unsigned char c) { return (c < ' ' && c != '\t') || c == 0x7f; });
}

bool is_variable(const std::string& text) {
  return !text.empty() && std::isdigit(static_cast<unsigned char>(text.front())) == 0 &&
         std::all_of(text.begin(), text.end(), [](unsigned char c) { return std::isalnum(c) != 0 || c == '_'; });
}

class SlurmReader {
 public:
  SlurmReader(const Setting* table, Faults& faults)
      : table_(table), faults_(faults), reader_(table, "launcher.slurm", faults) {}

  SlurmSettings read() {
    if (table_ != nullptr) settings_.place = table_->place;
    word("partition", settings_.partition);
    word("account", settings_.account);
    word("qos", settings_.qos);
    word("constraint", settings_.constraint);
    word("gres", settings_.gres);
    read_time();
    read_memory();
    reader_.read("nodes", settings_.nodes, kCount);
    reader_.read("ntasks_per_node", settings_.ntasks_per_node, kCount);
    reader_.read("cpus_per_task", settings_.cpus_per_task, kCount);
    reader_.read("signal_seconds", settings_.signal_seconds, {.minimum = 1, .maximum = 65535});
    reader_.read("max_jobs", settings_.max_jobs, kCountOrNone);
    reader_.read("retries", settings_.retries, kCountOrNone);
    reader_.read("poll_seconds", settings_.poll_seconds, {.minimum = 0.2, .maximum = 3600});
    reader_.read("cancel_on_interrupt", settings_.cancel_on_interrupt);
    reader_.read("setup", settings_.setup);
    reader_.read("environment", settings_.environment);
    reader_.read("extra", settings_.extra);
    settings_.partition_place = place_of("partition");
    settings_.tasks_place = place_of(settings_.ntasks_per_node > 0 ? "ntasks_per_node" : "nodes");
    check_lists();
    if (const int64_t limit = slurm_seconds(settings_.time); limit > 0 && limit <= settings_.signal_seconds)
      reader_.fault(find("signal_seconds") != nullptr ? "signal_seconds" : "time",
                    fmt::format("leaves nothing to train in: the warning comes {} s before the time limit (launcher."
                                "slurm.signal_seconds), which is {} s",
                                settings_.signal_seconds, limit));
    reader_.finish();
    return settings_;
  }

 private:
  [[nodiscard]] const Setting* find(std::string_view key) const {
    const Entry* entry = table_ != nullptr && table_->is_table() ? table_->find(key) : nullptr;
    return entry == nullptr ? nullptr : &entry->value;
  }

  [[nodiscard]] Place place_of(std::string_view key) const {
    const Setting* setting = find(key);
    return setting == nullptr ? settings_.place : setting->place;
  }

  void word(std::string_view key, std::string& value) {
    reader_.read(key, value);
    if (!is_word(value)) reader_.fault(key, fmt::format("must be one word, as sbatch takes it, not \"{}\"", value));
  }

  // A number stands for minutes, as it does for sbatch.
  void read_time() {
    if (const Setting* setting = find("time"); setting != nullptr && std::holds_alternative<int64_t>(setting->value)) {
      int64_t minutes = 0;
      reader_.read("time", minutes, {.minimum = 1, .maximum = 1e7});
      settings_.time = std::to_string(minutes);
      return;
    }
    reader_.read("time", settings_.time);
    if (!settings_.time.empty() && slurm_seconds(settings_.time) < 0)
      reader_.fault("time", fmt::format("must be a time limit as sbatch takes it, \"90\" (minutes), \"12:00:00\" or "
                                        "\"2-00:00:00\", not \"{}\"",
                                        settings_.time));
  }

  void read_memory() {
    reader_.read("mem", settings_.mem);
    const std::string& mem = settings_.mem;
    const auto digits = std::min(mem.find_first_not_of("0123456789"), mem.size());
    const bool unit = mem.size() == digits + 1 && std::string_view("KMGT").find(mem.back()) != std::string_view::npos;
    if (!mem.empty() && (digits == 0 || (mem.size() != digits && !unit)))
      reader_.fault("mem", fmt::format("must be an amount of memory as sbatch takes it, \"64G\", not \"{}\"", mem));
  }

  void check_lists() {
    for (const std::string& line : settings_.setup)
      if (!is_line(line)) reader_.fault("setup", "must be a list of lines of shell; one holds a line break");
    for (const std::string& name : settings_.environment)
      if (!is_variable(name))
        reader_.fault("environment", fmt::format("must be a list of names of variables, not \"{}\"", name));
    for (const std::string& option : settings_.extra) check_extra(option);
  }

  void check_extra(const std::string& option) {
    const std::string name = option.substr(0, option.find_first_of("= "));
    if (!option.starts_with("-") || !is_line(option))
      reader_.fault("extra",
                    fmt::format("must be a list of options of sbatch, as \"--exclude=n7\", not \"{}\"", option));
    else if (std::find(kOwnOptions.begin(), kOwnOptions.end(), name) != kOwnOptions.end())
      reader_.fault("extra", fmt::format("must not hold {}, which silc itself decides", name));
    for (const auto& [own, key] : kKeys)
      if (name == own) reader_.fault("extra", fmt::format("must not hold {}; launcher.slurm.{} says it", name, key));
  }

  const Setting* table_;
  Faults& faults_;
  TableReader reader_;
  SlurmSettings settings_;
};

void read_name(TableReader& reader, LauncherSettings& settings) {
  static const std::vector<std::string> kNames = {"local", "slurm"};
  std::string name = "local";
  reader.read("name", name, kNames);
  settings.kind = name == "slurm" ? LauncherKind::slurm : LauncherKind::local;
}

}  // namespace

std::string_view launcher_name(LauncherKind kind) { return kind == LauncherKind::slurm ? "slurm" : "local"; }

LauncherSettings read_launcher(const Setting* setting, Faults& faults) {
  LauncherSettings settings;
  // launcher = "slurm"
  Setting named{{}, Setting::Table{}};
  if (setting != nullptr && setting->is_text()) {
    named.place = setting->place;
    named.set("name", *setting, setting->place);
    setting = &named;
  }
  TableReader reader(setting, "launcher", faults);
  read_name(reader, settings);
  settings.slurm = SlurmReader(reader.take("slurm"), faults).read();
  reader.finish();
  return settings;
}

int64_t slurm_seconds(std::string_view time) {
  if (time == "UNLIMITED" || time == "INFINITE") return 0;
  constexpr int64_t kMinute = 60, kHour = 3600, kDay = 86400;
  std::vector<int64_t> numbers;
  int64_t days = -1;
  std::string digits;
  for (const char c : std::string(time) + ':') {
    if (std::isdigit(static_cast<unsigned char>(c)) != 0 && digits.size() < 9) {
      digits += c;
      continue;
    }
    const bool day = c == '-' && days < 0 && numbers.empty();
    if (digits.empty() || (c != ':' && !day)) return -1;
    (day ? days : numbers.emplace_back()) = std::stoll(digits);
    digits.clear();
  }
  if (numbers.empty() || numbers.size() > 3) return -1;
  numbers.resize(3, -1);
  const auto at = [&](std::size_t i) { return std::max<int64_t>(numbers[i], 0); };
  if (days >= 0) return days * kDay + at(0) * kHour + at(1) * kMinute + at(2);
  if (numbers[2] >= 0) return at(0) * kHour + at(1) * kMinute + at(2);
  return at(0) * kMinute + at(1);
}

}  // namespace silc
