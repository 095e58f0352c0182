#include "schedule/prediction.h"

#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <vector>

#include "silc/error.h"

namespace silc {

namespace {

class TemporaryFile {
 public:
  explicit TemporaryFile(std::string_view content) {
    std::string name = (std::filesystem::temp_directory_path() / "silc-cell-XXXXXX.toml").string();
    const int file = mkstemps(name.data(), static_cast<int>(std::strlen(".toml")));
    if (file < 0) throw Error(name + ": " + std::strerror(errno) + "; TMPDIR names another place");
    path_ = name;
    const bool whole = write(file, content.data(), content.size()) == static_cast<ssize_t>(content.size());
    close(file);
    if (!whole) {
      std::filesystem::remove(path_);
      throw Error(name + ": cannot be written; TMPDIR names another place");
    }
  }
  ~TemporaryFile() {
    std::error_code ignored;
    std::filesystem::remove(path_, ignored);
  }
  TemporaryFile(const TemporaryFile&) = delete;
  TemporaryFile& operator=(const TemporaryFile&) = delete;
  [[nodiscard]] const std::filesystem::path& path() const { return path_; }

 private:
  std::filesystem::path path_;
};

}  // namespace

Prediction predict(const Engine& engine, const ResolvedCell& cell, int64_t threads) {
  const TemporaryFile file(write_cell(cell));
  const auto answer =
      ask_engine(engine, {"measure", "--cell", file.path().string(), "--threads", std::to_string(threads)}, {},
                 cell.engine.hang_seconds);
  try {
    Prediction prediction;
    prediction.parameters = answer.at("parameters").get<int64_t>();
    prediction.steps = answer.at("total_steps").get<int64_t>();
    prediction.flops = answer.at("total_flops").get<double>();
    prediction.seconds = answer.at("seconds").get<double>();
    prediction.extrapolated = answer.at("extrapolated").get<bool>();
    const auto bytes = [&](const char* key) {
      return answer.contains(key) && !answer[key].is_null() ? std::optional(answer[key].get<int64_t>()) : std::nullopt;
    };
    prediction.peak_memory = bytes("peak_memory");
    prediction.device_peak_memory = bytes("device_peak_memory");
    prediction.device_memory = bytes("device_memory");
    return prediction;
  } catch (const nlohmann::json::exception&) {
    throw Error("silc-engine measure (" + engine.program.string() +
                ") did not answer as expected; is it of this version?");
  }
}

double side_by_side_seconds(std::span<const double> seconds, int64_t jobs) {
  std::vector<double> free_at(static_cast<std::size_t>(std::max<int64_t>(jobs, 1)), 0.0);
  for (const double each : seconds) *std::min_element(free_at.begin(), free_at.end()) += each;
  return *std::max_element(free_at.begin(), free_at.end());
}

}  // namespace silc
