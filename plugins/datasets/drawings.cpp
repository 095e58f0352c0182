#include "plugins/datasets/drawings.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <map>
#include <stdexcept>

#include "plugins/datasets/class_lists.h"
#include "plugins/datasets/embedded_lists.h"
#include "plugins/datasets/files.h"

namespace silc::datasets {
namespace {

constexpr std::size_t kMostCutoutBytes = std::size_t{256} << 20;

std::string_view embedded(std::string_view name) {
  for (const EmbeddedList& list : embedded_lists())
    if (list.name == name) return list.text;
  throw std::logic_error("the table of drawings is missing");
}

// Takes what comes before the separator off the text.
std::string_view take(std::string_view& text, char separator) {
  const std::size_t end = std::min(text.find(separator), text.size());
  const std::string_view head = text.substr(0, end);
  text.remove_prefix(std::min(end + 1, text.size()));
  return head;
}

std::vector<Drawing> read_drawings() {
  std::map<std::string, int64_t, std::less<>> labels;
  for (const std::string& line : built_in_list("classes/openclipart"))
    labels.emplace(line.substr(0, line.find('\t')), static_cast<int64_t>(labels.size()));
  std::string_view text = embedded("openclipart/drawings");
  take(text, '\n');  // where it comes from
  take(text, '\n');  // the columns' names
  std::vector<Drawing> drawings;
  while (!text.empty()) {
    std::string_view line = take(text, '\n');
    Drawing drawing;
    drawing.path = take(line, '\t');
    if (const std::string_view name = take(line, '\t'); !name.empty()) drawing.label = labels.find(name)->second;
    const std::string_view group = take(line, '\t');
    std::from_chars(group.data(), group.data() + group.size(), drawing.group);
    drawing.split = take(line, '\t');
    drawing.title = take(line, '\t');
    drawing.keywords = take(line, '\t');
    drawing.description = take(line, '\t');
    drawings.push_back(drawing);
  }
  return drawings;
}

// No side below a pixel.
Cutout reduced(const Cutout& cutout, int64_t longest) {
  const double scale = static_cast<double>(longest) / static_cast<double>(std::max(cutout.width, cutout.height));
  const auto side = [scale](int64_t length) {
    return std::max<int64_t>(1, std::lround(scale * static_cast<double>(length)));
  };
  return scale < 1 ? resized(cutout, side(cutout.width), side(cutout.height)) : cutout;
}

std::size_t bytes_of(const Cutout& cutout) { return cutout.rgb.size() + cutout.coverage.size(); }

}  // namespace

const std::vector<Drawing>& drawings() {
  static const std::vector<Drawing> all = read_drawings();
  return all;
}

std::shared_ptr<const Cutout> CutoutStore::get(std::size_t drawing) {
  {
    const std::scoped_lock lock(mutex_);
    if (const auto found = places_.find(drawing); found != places_.end()) {
      kept_.splice(kept_.begin(), kept_, found->second);
      return found->second->second;
    }
  }
  const std::filesystem::path file = folder_ / (std::string(drawings()[drawing].path) + ".png");
  auto cutout = std::make_shared<const Cutout>(reduced(decode_cutout(file_bytes(file), file.string()), longest_));
  const std::scoped_lock lock(mutex_);
  if (places_.contains(drawing)) return cutout;  // another thread was faster
  kept_.emplace_front(drawing, cutout);
  places_[drawing] = kept_.begin();
  bytes_ += bytes_of(*cutout);
  while (bytes_ > kMostCutoutBytes && kept_.size() > 1) {
    bytes_ -= bytes_of(*kept_.back().second);
    places_.erase(kept_.back().first);
    kept_.pop_back();
  }
  return cutout;
}

std::shared_ptr<CutoutStore> shared_cutouts(const std::filesystem::path& folder, int64_t longest) {
  static std::mutex mutex;
  static std::map<std::pair<std::string, int64_t>, std::weak_ptr<CutoutStore>> stores;  // guarded by mutex
  const std::scoped_lock lock(mutex);
  std::weak_ptr<CutoutStore>& entry = stores[{std::filesystem::weakly_canonical(folder).string(), longest}];
  std::shared_ptr<CutoutStore> store = entry.lock();
  if (!store) entry = store = std::make_shared<CutoutStore>(folder, longest);
  return store;
}

}  // namespace silc::datasets
