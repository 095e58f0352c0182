#include "schedule/slurm_text.h"

#include <algorithm>
#include <array>
#include <cctype>
#include <charconv>

namespace silc {
namespace {

std::string_view trimmed(std::string_view text) {
  const auto is_space = [](char c) { return std::isspace(static_cast<unsigned char>(c)) != 0; };
  while (!text.empty() && is_space(text.front())) text.remove_prefix(1);
  while (!text.empty() && is_space(text.back())) text.remove_suffix(1);
  return text;
}

template <class Visit>
void for_each_line(std::string_view text, const Visit& visit) {
  while (!text.empty()) {
    const auto end = std::min(text.find('\n'), text.size());
    if (const auto line = trimmed(text.substr(0, end)); !line.empty()) visit(line);
    text.remove_prefix(std::min(end + 1, text.size()));
  }
}

// At most `most` parts, the last with all that is left.
std::vector<std::string_view> parts_of(std::string_view text, char separator, std::size_t most = std::string::npos) {
  std::vector<std::string_view> parts;
  while (true) {
    const auto end = parts.size() + 1 == most ? std::string_view::npos : text.find(separator);
    parts.push_back(text.substr(0, end));
    if (end == std::string_view::npos) return parts;
    text.remove_prefix(end + 1);
  }
}

template <class Number>
Number number(std::string_view text, Number otherwise = 0) {
  Number value{};
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  return error == std::errc() && end == text.data() + text.size() ? value : otherwise;
}

// "12", "12_3"; not "12_[0-3]", "12.batch" or words.
bool is_job_id(std::string_view text) {
  const auto parts = parts_of(text, '_');
  return parts.size() <= 2 && std::all_of(parts.begin(), parts.end(), [](std::string_view part) {
           return !part.empty() && part.find_first_not_of("0123456789") == std::string_view::npos;
         });
}

std::string word_or_nothing(std::string_view text) {
  static constexpr std::array<std::string_view, 6> kNothing = {"None", "(null)",  "N/A",
                                                               "n/a",  "Unknown", "None assigned"};
  const bool nothing = std::find(kNothing.begin(), kNothing.end(), text) != kNothing.end();
  return nothing ? std::string() : std::string(text);
}

// "1:9": exit code and signal.
void read_exit(std::string_view text, JobAccount& account) {
  const auto parts = parts_of(text, ':');
  account.exit_code = number<int>(parts[0]);
  if (parts.size() > 1) account.signal = number<int>(parts[1]);
}

// "1-02:03:04", "02:03:04", "03:04"
double seconds_of(std::string_view text) {
  double days = 0;
  if (const auto dash = text.find('-'); dash != std::string_view::npos) {
    days = number<double>(text.substr(0, dash));
    text.remove_prefix(dash + 1);
  }
  double seconds = 0;
  for (const std::string_view part : parts_of(text, ':')) seconds = seconds * 60 + number<double>(part);
  return days * 86400 + seconds;
}

bool holds(std::string_view text, std::string_view part) { return text.find(part) != std::string_view::npos; }

}  // namespace

JobState job_state(std::string_view word) {
  word = word.substr(0, word.find_first_of(" +"));
  using enum JobState;
  static constexpr std::array<std::pair<std::string_view, JobState>, 24> kStates = {{
      {"PENDING", pending},
      {"REQUEUED", pending},
      {"REQUEUE_HOLD", pending},
      {"REQUEUE_FED", pending},
      {"SPECIAL_EXIT", pending},
      {"RESV_DEL_HOLD", pending},
      {"RUNNING", running},
      {"CONFIGURING", running},
      {"COMPLETING", running},
      {"SUSPENDED", running},
      {"STOPPED", running},
      {"RESIZING", running},
      {"SIGNALING", running},
      {"STAGE_OUT", running},
      {"COMPLETED", completed},
      {"FAILED", failed},
      {"CANCELLED", cancelled},
      {"REVOKED", cancelled},
      {"TIMEOUT", timeout},
      {"NODE_FAIL", node_fail},
      {"BOOT_FAIL", node_fail},
      {"PREEMPTED", preempted},
      {"OUT_OF_MEMORY", out_of_memory},
      {"DEADLINE", deadline},
  }};
  const auto found = std::find_if(kStates.begin(), kStates.end(), [&](const auto& each) { return each.first == word; });
  return found == kStates.end() ? unknown : found->second;
}

bool is_over(JobState state) {
  return state != JobState::pending && state != JobState::running && state != JobState::unknown;
}

std::vector<QueuedJob> parse_squeue(std::string_view output) {
  const std::size_t fields = parts_of(kSqueueFormat, '|').size();
  std::vector<QueuedJob> jobs;
  for_each_line(output, [&](std::string_view line) {
    // The name comes last: it may hold anything.
    const auto parts = parts_of(line, '|', fields);
    if (parts.size() != fields || !is_job_id(parts[0])) return;
    jobs.push_back({.id = std::string(parts[0]),
                    .name = std::string(parts[7]),
                    .state = job_state(parts[1]),
                    .state_word = std::string(parts[1]),
                    .reason = word_or_nothing(parts[2]),
                    .nodes = word_or_nothing(parts[3])});
  });
  return jobs;
}

std::optional<JobAccount> parse_scontrol_job(std::string_view output) {
  if (!output.starts_with("JobId=")) return std::nullopt;
  output = output.substr(0, output.find('\n'));
  // The first with this name: values may hold spaces, but those that do come late.
  const auto value = [&](std::string_view key) {
    const std::string wanted = " " + std::string(key) + "=";
    const auto at = output.find(wanted);
    if (at == std::string_view::npos) return std::string_view();
    const auto rest = output.substr(at + wanted.size());
    return rest.substr(0, rest.find(' '));
  };
  JobAccount account;
  account.state_word = value("JobState");
  account.state = job_state(account.state_word);
  read_exit(value("ExitCode"), account);
  account.start = number<double>(value("StartTime"));
  account.end = is_over(account.state) ? number<double>(value("EndTime")) : 0;
  account.elapsed = seconds_of(value("RunTime"));
  account.cpus = number<int64_t>(value("NumCPUs"));
  const auto allocated = value("AllocTRES");
  account.gpus = gpus_of_tres(allocated.empty() ? value("TRES") : allocated);
  account.nodes = word_or_nothing(value("NodeList"));
  account.restarts = number<int64_t>(value("Restarts"));
  if (account.state_word.empty()) return std::nullopt;
  return account;
}

std::vector<JobAccount> parse_sacct(std::string_view output, std::string_view id) {
  const std::size_t fields = parts_of(kSacctFormat, ',').size();
  std::vector<JobAccount> accounts;
  for_each_line(output, [&](std::string_view line) {
    const auto parts = parts_of(line, '|');
    if (parts.size() < fields || parts[0] != id) return;
    JobAccount account;
    account.state_word = parts[1].substr(0, parts[1].find_first_of(" +"));
    account.state = job_state(account.state_word);
    read_exit(parts[2], account);
    account.start = number<double>(parts[3]);
    account.end = number<double>(parts[4]);
    account.elapsed = number<double>(parts[5]);
    account.cpus = number<int64_t>(parts[6]);
    account.gpus = gpus_of_tres(parts[7]);
    account.nodes = word_or_nothing(parts[8]);
    account.restarts = static_cast<int64_t>(accounts.size());
    accounts.push_back(account);
  });
  return accounts;
}

std::string parse_sbatch(std::string_view output) {
  std::string id;
  for_each_line(output, [&](std::string_view line) {
    const auto number = line.substr(0, line.find(';'));
    if (is_job_id(number)) id = number;
  });
  return id;
}

ClusterFacts parse_config(std::string_view output) {
  ClusterFacts facts;
  for_each_line(output, [&](std::string_view line) {
    const auto equals = line.find('=');
    if (equals == std::string_view::npos) return;
    const auto key = trimmed(line.substr(0, equals)), value = trimmed(line.substr(equals + 1));
    if (key == "SLURM_VERSION") facts.version = value;
    if (key == "MaxArraySize") facts.most_in_array = number<int64_t>(value, facts.most_in_array);
    if (key == "AccountingStorageType") facts.accounts = !holds(value, "none") && value != "(null)";
  });
  return facts;
}

std::vector<std::string> parse_partitions(std::string_view output) {
  std::vector<std::string> names;
  for_each_line(output, [&](std::string_view line) {
    if (line.ends_with('*')) line.remove_suffix(1);
    if (!holds(line, " ") && std::find(names.begin(), names.end(), line) == names.end()) names.emplace_back(line);
  });
  return names;
}

SlurmRefusal refusal_of(std::string_view errors) {
  static constexpr std::array<std::string_view, 9> kUnreachable = {"Unable to contact slurm controller",
                                                                   "Socket timed out",
                                                                   "Connection refused",
                                                                   "Connection timed out",
                                                                   "Zero Bytes were trans",
                                                                   "Transport endpoint",
                                                                   "Resource temporarily unavailable",
                                                                   "not responding",
                                                                   "backup controller"};
  static constexpr std::array<std::string_view, 5> kLimit = {"AssocMaxSubmitJobLimit", "QOSMaxSubmitJob",
                                                             "MaxSubmitJobs", "maximum job count", "job submit limit"};
  const auto is_part = [&](std::string_view part) { return holds(errors, part); };
  if (std::any_of(kUnreachable.begin(), kUnreachable.end(), is_part)) return SlurmRefusal::unreachable;
  if (std::any_of(kLimit.begin(), kLimit.end(), is_part)) return SlurmRefusal::limit;
  return SlurmRefusal::wrong;
}

std::string first_complaint(std::string_view errors) {
  std::string first, last;
  for_each_line(errors, [&](std::string_view line) {
    for (const std::string_view prefix : {"sbatch: ", "squeue: ", "scontrol: ", "scancel: ", "sinfo: ", "error: ",
                                          "fatal: ", "allocation failure: ", "Batch job submission failed: "})
      if (line.starts_with(prefix)) line.remove_prefix(prefix.size());
    if (first.empty()) first = line;
    last = line;
  });
  // The last says what it came to, the first what of: "invalid partition specified: nope", "Invalid partition name".
  if (first == last || first.empty()) return last;
  return first + " (" + last + ")";
}

int64_t gpus_of_tres(std::string_view tres) {
  int64_t all = 0, typed = 0;
  for (const std::string_view part : parts_of(tres, ',')) {
    const auto equals = part.find('=');
    if (equals == std::string_view::npos) continue;
    const auto name = part.substr(0, equals);
    const auto amount = number<int64_t>(part.substr(equals + 1));
    if (name == "gres/gpu") all += amount;
    if (name.starts_with("gres/gpu:")) typed += amount;
  }
  return std::max(all, typed);
}

int64_t cpus_of_nodes(std::string_view text) {
  int64_t all = 0;
  for (const std::string_view part : parts_of(text, ',')) {
    const auto times = part.find("(x");
    const auto each = number<int64_t>(part.substr(0, times));
    const auto count = times == std::string_view::npos || !part.ends_with(')')
                           ? 1
                           : number<int64_t>(part.substr(times + 2, part.size() - times - 3), 1);
    all += each * count;
  }
  return all;
}

}  // namespace silc
