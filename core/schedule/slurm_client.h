// Slurm's programs, as silc calls them. No LibTorch.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "schedule/slurm_script.h"
#include "schedule/slurm_text.h"

namespace silc {

struct SlurmAnswer {
  bool ok = false;
  std::string output;
  std::string errors;

  [[nodiscard]] SlurmRefusal refusal() const { return refusal_of(errors); }
  [[nodiscard]] std::string complaint() const { return first_complaint(errors); }
};

class SlurmClient {
 public:
  // Throws silc::Error where the machine has no Slurm.
  SlurmClient();

  // Runs one of them to its end, from any thread. Times in what it prints are seconds since 1970. One that says nothing
  // for `patience` seconds is given up, as if the controller did not answer.
  [[nodiscard]] SlurmAnswer call(const std::vector<std::string>& line, double patience = 60) const;

  // The same while the controller cannot be reached, for two minutes. `waiting` is told why, once. Throws silc::Error
  // when it is still not there; another refusal is an answer.
  [[nodiscard]] SlurmAnswer insist(const std::vector<std::string>& line,
                                   const std::function<void(const std::string&)>& waiting) const;
};

// Jobs of this user, also those that ended a moment ago.
std::vector<std::string> squeue_line();
std::vector<std::string> sbatch_line(const SlurmSubmission& submission, const SlurmSettings& settings);

// What the cluster says of itself. Throws SpecError, with the place in the file, where it has no such partition or
// would refuse a job with these settings for one of these numbers of ranks; silc::Error where it cannot be reached.
ClusterFacts check_cluster(const SlurmClient& client, const SlurmSettings& settings, const std::vector<int64_t>& ranks,
                           const std::function<void(const std::string&)>& waiting);

// What a refusal of sbatch may be mended by: "launcher.slurm.account names an account"; empty: nobody knows.
std::string remedy_for(std::string_view complaint);

}  // namespace silc
