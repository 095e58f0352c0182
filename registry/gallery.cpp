#include "registry/gallery.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <cstring>
#include <optional>
#include <set>

#include "files/durable_file.h"
#include "files/run_folder.h"
#include "files/safetensors.h"
#include "registry/chosen_pictures.h"
#include "registry/samples.h"
#include "silc/error.h"

namespace silc {

namespace {

namespace fs = std::filesystem;
using Json = nlohmann::json;

constexpr int64_t kFormat = 1;  // of galleries, as the engine writes them
constexpr std::size_t kClassifiedPictures = 24;
constexpr std::size_t kSegmentedPictures = 12;
constexpr std::size_t kRetrievedPictures = 8;
constexpr std::size_t kMostMaps = 12;
constexpr std::size_t kFoundPictures = 3;       // of a caption
constexpr std::size_t kMostMatrixClasses = 32;  // of which all is told; of more the confusions that are most
constexpr std::size_t kMostConfusions = 200;
constexpr std::size_t kMostClassResults = 60'000;  // classes times rows

enum class Kind { classification, segmentation, retrieval };

std::string_view kind_text(Kind kind) {
  return kind == Kind::classification ? "classification" : kind == Kind::segmentation ? "segmentation" : "retrieval";
}

std::vector<float> numbers(const SafetensorsFile& file, const std::string& name) {
  const auto found = file.tensors().find(name);
  if (found == file.tensors().end()) return {};
  return numbers_of(found->second).value_or(std::vector<float>{});
}

std::vector<int64_t> shape(const SafetensorsFile& file, const std::string& name) {
  const auto found = file.tensors().find(name);
  return found == file.tensors().end() ? std::vector<int64_t>{} : found->second.shape;
}

std::string metadata(const SafetensorsFile& file, const std::string& key) {
  const auto found = file.metadata().find(key);
  return found == file.metadata().end() ? "" : found->second;
}

// Whether a tensor is of classes; an evaluator of somebody's may mean something else by the name.
bool holds_classes(const SafetensorsFile& file, const std::string& name) {
  constexpr float kMostClasses = 65536;
  const auto found = file.tensors().find(name);
  return found != file.tensors().end() && found->second.dtype == "I64" &&
         std::ranges::all_of(numbers(file, name), [](float label) { return label >= -1 && label < kMostClasses; });
}

// What the scores are of; nothing for those of an evaluator that is not known here.
std::optional<Kind> kind_of(const SafetensorsFile& file) {
  const auto label = shape(file, "label"), join = shape(file, "union"), recall = shape(file, "text_retrieval_recall@1");
  if (label.size() == 1 && label[0] > 0 && label == shape(file, "prediction") && label == shape(file, "acc1") &&
      holds_classes(file, "label") && holds_classes(file, "prediction"))
    return Kind::classification;
  if (join.size() == 2 && join[0] > 0 && join[1] > 0 && join == shape(file, "intersection") &&
      shape(file, "picture_miou") == std::vector<int64_t>{join[0]})
    return Kind::segmentation;
  if (recall.size() == 1 && recall[0] > 0) return Kind::retrieval;
  return std::nullopt;
}

std::string main_score(Kind kind) {
  return kind == Kind::classification ? "acc1"
         : kind == Kind::segmentation ? "picture_miou"
                                      : "text_retrieval_recall@1";
}

int64_t picture_count(const SafetensorsFile& file, Kind kind) { return shape(file, main_score(kind))[0]; }

double rounded(double value) { return std::round(value * 1e4) / 1e4; }

struct ScoreFile {
  SafetensorsFile file;
  std::string stem;  // "EVALUATION-WEIGHTS": the gallery's file is called the same
};

// The scores of one evaluation of one row: a file for each of its seeds.
struct RowScores {
  std::vector<const SafetensorsFile*> seeds;
  const ScoreFile* shown = nullptr;  // of the seed whose pictures are shown; null: it has none
};

struct ShownEvaluation {
  std::string name, dataset, split;
  Kind kind = Kind::classification;
  int64_t samples = 0;
  std::vector<RowScores> rows;        // one a row; without seeds where the row has no such scores
  std::vector<ChosenPicture> chosen;  // none: no row has a shown seed
  std::vector<int64_t> maps;          // pictures whose patches are compared with words
};

// The search results of a row for a picture: its nearest captions, and the pictures nearest to its first caption.
struct Search {
  std::vector<std::array<int64_t, 2>> captions;  // picture and the caption's number there
  std::vector<int64_t> pictures;
};

Search search_of(const SafetensorsFile& file, int64_t index) {
  Search search;
  const auto owner = numbers(file, "picture");
  const auto texts = numbers(file, "nearest_captions"), pictures = numbers(file, "nearest_pictures");
  const auto text_shape = shape(file, "nearest_captions"), picture_shape = shape(file, "nearest_pictures");
  const auto captions = static_cast<int64_t>(owner.size());
  if (text_shape.size() != 2 || picture_shape.size() != 2 || picture_shape[0] != captions || index >= text_shape[0])
    return search;
  const auto first_of = [&](float picture) { return std::ranges::find(owner, picture) - owner.begin(); };
  for (int64_t k = 0; k < text_shape[1]; ++k) {
    const auto caption = static_cast<int64_t>(texts[static_cast<std::size_t>(index * text_shape[1] + k)]);
    if (caption < 0 || caption >= captions) return {};
    const float picture = owner[static_cast<std::size_t>(caption)];
    search.captions.push_back({static_cast<int64_t>(picture), caption - first_of(picture)});
  }
  const int64_t query = first_of(static_cast<float>(index));
  if (query == captions) return search;
  for (int64_t k = 0; k < std::min<int64_t>(kFoundPictures, picture_shape[1]); ++k)
    search.pictures.push_back(static_cast<int64_t>(pictures[static_cast<std::size_t>(query * picture_shape[1] + k)]));
  return search;
}

std::size_t classes_of(const ShownEvaluation& evaluation) {
  std::size_t classes = 0;
  for (const RowScores& row : evaluation.rows)
    for (const SafetensorsFile* file : row.seeds) {
      if (evaluation.kind == Kind::segmentation)
        classes = std::max(classes, static_cast<std::size_t>(shape(*file, "union")[1]));
      else
        for (const char* name : {"label", "prediction"})
          for (const float label : numbers(*file, name))
            classes = std::max(classes, static_cast<std::size_t>(std::max(label, 0.F)) + 1);
    }
  return classes;
}

// Of one seed: right pictures by all of each class, or intersection by union. Null where a class does not occur.
std::vector<std::optional<double>> class_results(const SafetensorsFile& file, Kind kind, std::size_t classes) {
  std::vector<double> hits(classes), all(classes);
  if (kind == Kind::segmentation) {
    const auto intersection = numbers(file, "intersection"), join = numbers(file, "union");
    const auto own = static_cast<std::size_t>(shape(file, "union")[1]);
    for (std::size_t i = 0; i < join.size(); ++i) {
      hits[i % own] += static_cast<double>(intersection[i]);
      all[i % own] += static_cast<double>(join[i]);
    }
  } else {
    const auto label = numbers(file, "label"), correct = numbers(file, "acc1");
    for (std::size_t i = 0; i < label.size(); ++i) {
      if (label[i] < 0) continue;
      hits[static_cast<std::size_t>(label[i])] += static_cast<double>(correct[i]);
      ++all[static_cast<std::size_t>(label[i])];
    }
  }
  std::vector<std::optional<double>> results(classes);
  for (std::size_t c = 0; c < classes; ++c)
    if (all[c] > 0) results[c] = hits[c] / all[c];
  return results;
}

// The mean over the seeds of a row.
Json mean_class_results(const RowScores& row, Kind kind, std::size_t classes) {
  std::vector<double> sums(classes);
  std::vector<int> counts(classes);
  for (const SafetensorsFile* file : row.seeds) {
    const auto results = class_results(*file, kind, classes);
    for (std::size_t c = 0; c < classes; ++c)
      if (results[c]) {
        sums[c] += *results[c];
        ++counts[c];
      }
  }
  Json means = Json::array();
  for (std::size_t c = 0; c < classes; ++c)
    means.push_back(counts[c] == 0 ? Json() : Json(rounded(sums[c] / counts[c])));
  return means;
}

// How often each class is taken for which: (truth, prediction) → pictures, or pixels of a segmentation.
using Confusion = std::map<std::pair<std::size_t, std::size_t>, int64_t>;

Confusion confusion_of_pictures(const SafetensorsFile& file) {
  Confusion counts;
  const auto label = numbers(file, "label"), prediction = numbers(file, "prediction");
  for (std::size_t i = 0; i < label.size(); ++i)
    if (label[i] >= 0 && prediction[i] >= 0)
      ++counts[{static_cast<std::size_t>(label[i]), static_cast<std::size_t>(prediction[i])}];
  return counts;
}

// Empty where the evaluator left no such matrix.
Confusion confusion_of_pixels(const SafetensorsFile& file) {
  const auto found = file.tensors().find("confusion");
  const auto classes = static_cast<std::size_t>(shape(file, "union")[1]);
  if (found == file.tensors().end() || found->second.dtype != "I64" ||
      shape(file, "confusion") != std::vector<int64_t>(2, static_cast<int64_t>(classes)))
    return {};
  std::vector<int64_t> matrix(classes * classes);  // pixels are more than a float counts
  std::memcpy(matrix.data(), found->second.bytes.data(), matrix.size() * sizeof(int64_t));
  Confusion counts;
  for (std::size_t i = 0; i < matrix.size(); ++i)
    if (matrix[i] > 0) counts[{i / classes, i % classes}] = matrix[i];
  return counts;
}

Confusion confusion_of(const SafetensorsFile& file, Kind kind) {
  return kind == Kind::segmentation ? confusion_of_pixels(file) : confusion_of_pictures(file);
}

// [truth, prediction, count, …], of all seeds together; of many classes what is confused most. Null: not known.
Json confusion_of(const RowScores& row, Kind kind, std::size_t classes) {
  Confusion counts;
  for (const SafetensorsFile* file : row.seeds)
    for (const auto& [place, count] : confusion_of(*file, kind)) counts[place] += count;
  if (counts.empty()) return nullptr;
  std::vector<std::pair<Confusion::key_type, int64_t>> list(counts.begin(), counts.end());
  if (classes > kMostMatrixClasses) {
    std::erase_if(list, [](const auto& count) { return count.first.first == count.first.second; });
    std::ranges::stable_sort(list, std::greater{}, [](const auto& count) { return count.second; });
    if (list.size() > kMostConfusions) list.resize(kMostConfusions);
  }
  Json flat = Json::array();
  for (const auto& [place, count] : list) {
    flat.push_back(place.first);
    flat.push_back(place.second);
    flat.push_back(count);
  }
  return flat;
}

// How many pictures, or labelled pixels, each class has. Null: not known.
Json class_sizes(const ShownEvaluation& evaluation, std::size_t classes) {
  for (const RowScores& row : evaluation.rows) {
    if (row.seeds.empty()) continue;
    const Confusion counts = confusion_of(*row.seeds.front(), evaluation.kind);
    if (counts.empty()) continue;
    std::vector<int64_t> sizes(classes);
    for (const auto& [place, count] : counts) sizes[place.first] += count;
    return sizes;
  }
  return nullptr;
}

struct Row {
  std::string name;
  std::vector<std::size_t> cells;
  std::size_t shown = 0;  // a cell
};

std::vector<Row> rows_of(const std::vector<GalleryCell>& cells) {
  std::vector<Row> rows;
  std::map<int64_t, int> rows_with;
  for (std::size_t i = 0; i < cells.size(); ++i) {
    if (rows.empty() || rows.back().name != cells[i].row) rows.push_back({cells[i].row, {}, i});
    rows.back().cells.push_back(i);
    ++rows_with[cells[i].seed];
  }
  for (Row& row : rows)
    row.shown = *std::ranges::max_element(
        row.cells, std::less{}, [&](std::size_t i) { return std::pair(rows_with[cells[i].seed], -cells[i].seed); });
  return rows;
}

// A gallery as it lies in a run folder; nothing where there is none. Throws silc::Error where it cannot be used.
std::optional<Json> read_gallery(const fs::path& file) {
  std::error_code missing;
  if (!fs::is_regular_file(file, missing)) return std::nullopt;
  Json gallery = Json::parse(read_file(file), nullptr, /*allow_exceptions=*/false);
  if (!gallery.is_object()) throw Error(file.string() + " is damaged");
  if (gallery.value("format", Json()) != kFormat) throw Error(file.string() + " is of another version of silc");
  return gallery;
}

std::set<int64_t> shown_indices(const Json& gallery) {
  std::set<int64_t> found;
  for (const Json& picture : gallery.at("pictures")) found.insert(picture.at("index").get<int64_t>());
  return found;
}

bool has_all(const auto& there, const auto& wanted) {
  return std::ranges::all_of(wanted, [&](const auto& each) { return std::ranges::find(there, each) != there.end(); });
}

// Whether a gallery has everything that a wish names.
bool fulfils(const Json& gallery, const Json& wish) {
  if (gallery.at("samples") != wish.at("samples")) return false;
  if (!has_all(shown_indices(gallery), wish.at("pictures").get<std::vector<int64_t>>())) return false;
  for (const Json& thumbnail : wish.at("thumbnails"))
    if (!gallery.at("thumbnails").contains(std::to_string(thumbnail.get<int64_t>()))) return false;
  std::set<std::pair<int64_t, int64_t>> captions;
  for (const Json& caption : gallery.at("captions"))
    captions.emplace(caption.at(0).get<int64_t>(), caption.at(1).get<int64_t>());
  for (const Json& caption : wish.at("captions"))
    if (!captions.contains({caption.at(0).get<int64_t>(), caption.at(1).get<int64_t>()})) return false;
  const Json& maps = gallery.at("maps");
  if (wish.at("maps").empty()) return true;
  if (maps.is_null()) return true;  // the model gives no patch tokens
  return maps.contains("pictures") && maps.at("pictures") == wish.at("maps") &&
         has_all(maps.at("words"), wish.at("words"));
}

// Only what shows a picture, whoever wrote the gallery.
std::string picture_url(const Json& value) {
  const auto& url = value.get_ref<const std::string&>();
  if (!url.starts_with("data:image/webp;base64,")) throw Error("a picture in it is none");
  return url;
}

Json mask_of(const Json& picture, const char* key) {
  if (!picture.contains(key)) return nullptr;
  const Json& mask = picture.at(key);
  return {{"width", mask.at("width").get<int64_t>()},
          {"height", mask.at("height").get<int64_t>()},
          {"runs", mask.at("runs").get<std::string>()}};
}

}  // namespace

struct Gallery::Impl {
  GalleryRequest request;
  std::vector<Row> rows;
  std::size_t baseline = 0;
  std::vector<std::map<std::string, ScoreFile>> files;  // of each cell, by evaluation
  std::vector<ShownEvaluation> evaluations;
  std::vector<std::string> notes;

  explicit Impl(GalleryRequest asked) : request(std::move(asked)), rows(rows_of(request.cells)) {
    const auto found = std::ranges::find(rows, request.baseline, &Row::name);
    baseline = found == rows.end() ? 0 : static_cast<std::size_t>(found - rows.begin());
    read_all_scores();
    gather_evaluations();
    for (ShownEvaluation& evaluation : evaluations) choose(evaluation);
    choose_maps();
  }

  void read_all_scores() {
    files.resize(request.cells.size());
    std::size_t read = 0, left_out = 0;
    for (std::size_t r = 0; r < rows.size(); ++r) {
      if (r != baseline && read + rows[r].cells.size() > kMostScoredCells) {
        ++left_out;
        continue;
      }
      read += rows[r].cells.size();
      for (const std::size_t cell : rows[r].cells) files[cell] = read_scores(request.cells[cell]);
    }
    if (left_out > 0)
      notes.push_back(fmt::format("{} of {} rows are left out here; --table shows fewer rows", left_out, rows.size()));
  }

  std::map<std::string, ScoreFile> read_scores(const GalleryCell& cell) {
    std::map<std::string, ScoreFile> scores;
    std::error_code missing;
    for (const auto& entry : fs::directory_iterator(RunFolder{cell.folder}.samples(), missing)) {
      if (entry.path().extension() != ".safetensors") continue;
      try {
        SafetensorsFile file(entry.path());
        if (metadata(file, "weights") != cell.weights || !kind_of(file)) continue;
        const std::string name = metadata(file, "evaluator");
        scores.emplace(name, ScoreFile{std::move(file), entry.path().stem()});
      } catch (const Error& error) {
        notes.push_back(error.what());
      }
    }
    return scores;
  }

  ShownEvaluation& evaluation_called(const std::string& name, const SafetensorsFile& first) {
    const auto found = std::ranges::find(evaluations, name, &ShownEvaluation::name);
    if (found != evaluations.end()) return *found;
    const Kind kind = *kind_of(first);
    return evaluations.emplace_back(ShownEvaluation{.name = name,
                                                    .dataset = metadata(first, "dataset"),
                                                    .split = metadata(first, "split"),
                                                    .kind = kind,
                                                    .samples = picture_count(first, kind),
                                                    .rows = std::vector<RowScores>(rows.size()),
                                                    .chosen = {},
                                                    .maps = {}});
  }

  [[nodiscard]] bool is_shown(std::size_t r) const { return r < kMostShownRows || r == baseline; }

  void gather_evaluations() {
    if (rows.size() > kMostShownRows)
      notes.push_back(fmt::format("pictures are those of the first {} of {} rows; --table shows fewer rows",
                                  kMostShownRows, rows.size()));
    // The baseline says what data are meant.
    std::vector<std::size_t> order = {baseline};
    for (std::size_t r = 0; r < rows.size(); ++r)
      if (r != baseline) order.push_back(r);
    for (const std::size_t r : rows.empty() ? std::vector<std::size_t>{} : order)
      for (const std::size_t cell : rows[r].cells)
        for (const auto& [name, scores] : files[cell]) {
          const SafetensorsFile& file = scores.file;
          ShownEvaluation& evaluation = evaluation_called(name, file);
          if (*kind_of(file) != evaluation.kind || metadata(file, "dataset") != evaluation.dataset ||
              metadata(file, "split") != evaluation.split ||
              picture_count(file, evaluation.kind) != evaluation.samples) {
            notes.push_back(fmt::format("{}: row \"{}\", seed {} was evaluated on other data, and is not compared here",
                                        name, rows[r].name, request.cells[cell].seed));
            continue;
          }
          evaluation.rows[r].seeds.push_back(&file);
          if (cell == rows[r].shown && is_shown(r)) evaluation.rows[r].shown = &scores;
        }
  }

  void choose(ShownEvaluation& evaluation) const {
    std::vector<std::vector<float>> scores;
    std::size_t base = 0;
    for (std::size_t r = 0; r < rows.size(); ++r) {
      if (evaluation.rows[r].shown == nullptr) continue;
      if (r == baseline) base = scores.size();
      scores.push_back(numbers(evaluation.rows[r].shown->file, main_score(evaluation.kind)));
    }
    if (scores.empty()) return;
    evaluation.chosen =
        evaluation.kind == Kind::segmentation
            ? choose_by_score(scores, base, kSegmentedPictures)
            : choose_pictures(scores, base,
                              evaluation.kind == Kind::classification ? kClassifiedPictures : kRetrievedPictures);
  }

  // Of one evaluation: where classes of patches are known best.
  void choose_maps() {
    for (const Kind kind : {Kind::segmentation, Kind::classification, Kind::retrieval})
      for (ShownEvaluation& evaluation : evaluations) {
        if (evaluation.kind != kind || evaluation.chosen.empty()) continue;
        const std::size_t step = (evaluation.chosen.size() + kMostMaps - 1) / kMostMaps;
        for (std::size_t i = 0; i < evaluation.chosen.size(); i += step)
          evaluation.maps.push_back(evaluation.chosen[i].index);
        return;
      }
  }

  [[nodiscard]] Json wish(const ShownEvaluation& evaluation, const SafetensorsFile& scores) const {
    std::vector<int64_t> pictures;
    std::set<int64_t> thumbnails;
    std::set<std::array<int64_t, 2>> captions;
    for (const ChosenPicture& chosen : evaluation.chosen) {
      pictures.push_back(chosen.index);
      if (evaluation.kind != Kind::retrieval) continue;
      const Search search = search_of(scores, chosen.index);
      captions.insert(search.captions.begin(), search.captions.end());
      thumbnails.insert(search.pictures.begin(), search.pictures.end());
    }
    return {{"name", evaluation.name},
            {"samples", evaluation.samples},
            {"pictures", pictures},
            {"thumbnails", thumbnails},
            {"captions", captions},
            {"maps", evaluation.maps},
            {"words", evaluation.maps.empty() ? std::vector<std::string>{} : request.words}};
  }

  // The gallery of a cell if it can be used; else nothing, and why in `fault` (empty: there is none).
  [[nodiscard]] std::optional<Json> usable_gallery(const fs::path& cell, const ScoreFile& scores_of, const Json& wish,
                                                   std::string& fault) const {
    const RunFolder folder{cell};
    const fs::path file = folder.gallery() / (scores_of.stem + ".json");
    const fs::path scores = folder.samples() / (scores_of.stem + ".safetensors");
    try {
      std::optional<Json> gallery = read_gallery(file);
      if (!gallery) return std::nullopt;
      if (fs::last_write_time(file) < fs::last_write_time(scores))
        throw Error(file.string() + " is older than the scores");
      if (!fulfils(*gallery, wish)) throw Error(file.string() + " is of other pictures");
      return gallery;
    } catch (const Json::exception&) {
      fault = file.string() + " is damaged";
    } catch (const std::exception& error) {
      fault = error.what();
    }
    return std::nullopt;
  }

  [[nodiscard]] Json wishes() const {
    Json cells = Json::array();
    for (std::size_t r = 0; r < rows.size(); ++r) {
      const GalleryCell& cell = request.cells[rows[r].shown];
      Json wanted = Json::array();
      for (const ShownEvaluation& evaluation : evaluations) {
        const ScoreFile* scores = evaluation.rows[r].shown;
        if (scores == nullptr) continue;
        Json one = wish(evaluation, scores->file);
        std::string fault;
        if (!usable_gallery(cell.folder, *scores, one, fault)) wanted.push_back(std::move(one));
      }
      if (!wanted.empty())
        cells.push_back({{"folder", cell.folder.string()}, {"weights", cell.weights}, {"evaluations", wanted}});
    }
    return {{"cells", cells}};
  }
};

// One evaluation on the page, and what of it the rows share.
class Gallery::Page {
 public:
  Page(const Impl& impl, const std::map<std::string, std::string>& faults) : impl_(impl), faults_(faults) {
    for (const std::string& note : impl.notes) notes_.push_back(note);
    if (const auto all = faults.find(""); all != faults.end()) notes_.push_back(all->second);
  }

  Json json() {
    Json rows = Json::array(), evaluations = Json::array();
    for (const Row& row : impl_.rows)
      rows.push_back({{"name", row.name},
                      {"label", label_of(row)},
                      {"seed", impl_.request.cells[row.shown].seed},
                      {"seeds", row.cells.size()},
                      {"baseline", &row == &impl_.rows[impl_.baseline]}});
    for (const ShownEvaluation& evaluation : impl_.evaluations) evaluations.push_back(of(evaluation));
    for (const auto& [fault, cells] : missing_) notes_.push_back("no pictures of " + cells + ": " + fault);
    return {{"rows", rows}, {"evaluations", evaluations}, {"notes", notes_}};
  }

 private:
  [[nodiscard]] std::string label_of(const Row& row) const {
    const std::string& label = impl_.request.cells[row.shown].label;
    return label.empty() ? row.name : label;
  }

  Json of(const ShownEvaluation& evaluation) {
    Json page = {{"name", evaluation.name},
                 {"kind", kind_text(evaluation.kind)},
                 {"dataset", evaluation.dataset},
                 {"split", evaluation.split},
                 {"samples", evaluation.samples},
                 {"classes", nullptr},
                 {"probability", Json::array()},
                 {"pictures", Json::array()},
                 {"chosen", Json::array()},
                 {"scores", Json::array()},
                 {"thumbnails", Json::object()},
                 {"shown", Json::array()},
                 {"maps", nullptr}};
    if (evaluation.kind != Kind::retrieval) add_class_results(evaluation, page);
    for (const ChosenPicture& chosen : evaluation.chosen)
      page["chosen"].push_back({{"index", chosen.index}, {"group", chosen.group}});
    pictures_.clear();
    maps_ = nullptr;
    for (std::size_t r = 0; r < impl_.rows.size(); ++r) {
      page["scores"].push_back(scores_of(evaluation, r));
      page["probability"].push_back("");
      page["shown"].push_back(shown_by(evaluation, r, page));
    }
    for (const ChosenPicture& chosen : evaluation.chosen) {
      const auto found = pictures_.find(chosen.index);
      page["pictures"].push_back(found == pictures_.end() ? Json() : found->second);
    }
    page["maps"] = maps_;
    return page;
  }

  void add_class_results(const ShownEvaluation& evaluation, Json& page) {
    const std::size_t classes = classes_of(evaluation);
    page["class_sizes"] = class_sizes(evaluation, classes);
    page["class_results"] = Json::array();
    page["confusions"] = Json::array();
    const std::size_t most = std::max<std::size_t>(1, kMostClassResults / std::max<std::size_t>(1, classes));
    for (std::size_t r = 0; r < impl_.rows.size(); ++r) {
      const RowScores& row = evaluation.rows[r];
      const bool there = !row.seeds.empty() && r < most;
      page["class_results"].push_back(there ? mean_class_results(row, evaluation.kind, classes) : Json());
      page["confusions"].push_back(there && impl_.is_shown(r) ? confusion_of(row, evaluation.kind, classes) : Json());
    }
    if (most < impl_.rows.size())
      notes_.push_back(fmt::format("{}: results of {} classes are shown of the first {} rows alone", evaluation.name,
                                   classes, most));
  }

  // Of the chosen pictures, from the scores alone: how right each is, and which class was predicted.
  Json scores_of(const ShownEvaluation& evaluation, std::size_t r) const {
    const ScoreFile* scores = evaluation.rows[r].shown;
    if (scores == nullptr) return nullptr;
    const auto values = numbers(scores->file, main_score(evaluation.kind));
    const auto predictions = numbers(scores->file, "prediction");
    Json list = Json::array();
    for (const ChosenPicture& chosen : evaluation.chosen) {
      const auto i = static_cast<std::size_t>(chosen.index);
      const auto value = static_cast<double>(values[i]);
      Json one = {{"score", std::isfinite(value) ? Json(rounded(value)) : Json()}};
      if (evaluation.kind == Kind::classification) one["class"] = static_cast<int64_t>(predictions[i]);
      list.push_back(one);
    }
    return list;
  }

  // What a row's gallery adds; null where there is none.
  Json shown_by(const ShownEvaluation& evaluation, std::size_t r, Json& page) {
    const ScoreFile* scores = evaluation.rows[r].shown;
    const GalleryCell& cell = impl_.request.cells[impl_.rows[r].shown];
    if (scores == nullptr || evaluation.chosen.empty()) return nullptr;
    const Json wish = impl_.wish(evaluation, scores->file);
    std::string fault;
    const std::optional<Json> gallery = impl_.usable_gallery(cell.folder, *scores, wish, fault);
    if (!gallery) {
      if (const auto told = faults_.find(cell.folder.string()); told != faults_.end()) fault = told->second;
      if (!faults_.contains("") || !fault.empty()) miss(cell, fault.empty() ? "they were not made" : fault);
      return nullptr;
    }
    try {
      return from_gallery(evaluation, r, *scores, *gallery, page);
    } catch (const std::exception& error) {
      miss(cell, std::string("its gallery is damaged: ") + error.what());
      return nullptr;
    }
  }

  Json from_gallery(const ShownEvaluation& evaluation, std::size_t r, const ScoreFile& scores, const Json& gallery,
                    Json& page) {
    std::map<int64_t, const Json*> by_index;
    for (const Json& picture : gallery.at("pictures")) by_index[picture.at("index").get<int64_t>()] = &picture;
    Json shown = Json::array(), thumbnails = page["thumbnails"];
    std::map<int64_t, Json> pictures;
    for (const ChosenPicture& chosen : evaluation.chosen) {
      const Json& picture = *by_index.at(chosen.index);
      Json guesses = Json::array();
      for (const Json& guess : picture.at("guesses"))
        guesses.push_back({guess.at("class").get<int64_t>(), rounded(guess.at("score").get<double>()),
                           guess.contains("p") ? Json(rounded(guess.at("p").get<double>())) : Json()});
      Json one = {{"guesses", guesses}};
      if (Json mask = mask_of(picture, "predicted"); !mask.is_null()) one["mask"] = std::move(mask);
      if (evaluation.kind == Kind::retrieval) one["found"] = found_by(scores, chosen.index, gallery, thumbnails);
      shown.push_back(one);
      pictures[chosen.index] = {
          {"src", picture_url(picture.at("picture"))},
          {"width", picture.at("width").get<int64_t>()},
          {"height", picture.at("height").get<int64_t>()},
          {"label", picture.at("label").is_null() ? Json() : Json(picture.at("label").get<int64_t>())},
          {"captions", picture.at("captions").get<std::vector<std::string>>()},
          {"mask", mask_of(picture, "truth")}};
    }
    const std::size_t size = shown.dump().size() + (pictures_.empty() ? Json(pictures).dump().size() : 0) +
                             thumbnails.dump().size() - page["thumbnails"].dump().size();
    if (!fits(size, r, "pictures")) return nullptr;
    page["thumbnails"] = std::move(thumbnails);
    page["probability"][r] = gallery.at("probability").get<std::string>();
    if (pictures_.empty()) {
      pictures_ = std::move(pictures);
      page["classes"] = gallery.at("classes").get<std::vector<std::string>>();
    }
    add_maps(evaluation, r, gallery);
    return shown;
  }

  // What the row's search found for a picture: captions, each with whether it is the picture's own, and pictures for
  // its first caption.
  Json found_by(const ScoreFile& scores, int64_t index, const Json& gallery, Json& thumbnails) const {
    const Search search = search_of(scores.file, index);
    Json texts = Json::array(), pictures = Json::array();
    for (const auto& [picture, number] : search.captions)
      for (const Json& caption : gallery.at("captions"))
        if (caption.at(0) == picture && caption.at(1) == number)
          texts.push_back({caption.at(2).get<std::string>(), picture == index});
    for (const int64_t picture : search.pictures) {
      const std::string index = std::to_string(picture);
      thumbnails[index] = picture_url(gallery.at("thumbnails").at(index));
      pictures.push_back(picture);
    }
    return {{"captions", texts}, {"pictures", pictures}};
  }

  void add_maps(const ShownEvaluation& evaluation, std::size_t r, const Json& gallery) {
    if (evaluation.maps.empty()) return;
    const Json& maps = gallery.at("maps");
    if (maps.is_null()) {
      note_once(
          fmt::format("row \"{}\": no similarity maps: its model gives no patch tokens", label_of(impl_.rows[r])));
      return;
    }
    if (maps_.is_null()) maps_ = {{"pictures", evaluation.maps}, {"words", Json::array()}, {"rows", Json::array()}};
    Json row = {{"row", r},
                {"grid", maps.at("grid").get<std::array<int64_t, 2>>()},
                {"terms", maps.at("terms").get<int64_t>()},
                {"scales", maps.at("scales").get<std::vector<double>>()},
                {"patches", maps.at("patches").get<std::string>()},
                {"texts", maps.at("texts").get<std::string>()},
                {"error", maps.at("error").get<double>()}};
    auto words = maps.at("words").get<std::vector<std::string>>();
    if (maps_["rows"].empty()) {
      maps_["words"] = words;
      maps_["classes"] = maps.at("classes").get<int64_t>();
    } else if (maps_["words"] != words) {
      row["words"] = words;
    }
    if (fits(row.dump().size(), r, "similarity maps")) maps_["rows"].push_back(std::move(row));
  }

  // Whether there is room for more of that kind. Each has half of the page's bytes, so that neither crowds out the
  // other.
  bool fits(std::size_t bytes, std::size_t r, const char* what) {
    std::size_t& used = used_[what];
    if (said_.contains(what) || used + bytes > kGalleryBytes / 2) {
      note_once(fmt::format("{} are left out from row \"{}\" on, to keep the page small; --table shows fewer rows",
                            what, label_of(impl_.rows[r])),
                what);
      return false;
    }
    used += bytes;
    return true;
  }

  // Said once for all cells that have it in common; people who get the page need not know where the folder is.
  void miss(const GalleryCell& cell, std::string fault) {
    const std::string folder = cell.folder.string() + "/";
    for (std::size_t at = fault.find(folder); at != std::string::npos; at = fault.find(folder))
      fault.erase(at, folder.size());
    constexpr std::size_t kLongest = 300;
    if (fault.size() > kLongest) fault = fault.substr(0, fault.find_last_of(' ', kLongest)) + " …";
    const std::string name = fmt::format("row \"{}\", seed {}", cell.label.empty() ? cell.row : cell.label, cell.seed);
    const auto found = std::ranges::find(missing_, fault, &std::pair<std::string, std::string>::first);
    if (found == missing_.end())
      missing_.emplace_back(fault, name);
    else if (!found->second.ends_with(name))
      found->second += "; " + name;
  }

  void note_once(const std::string& note, const std::string& about = "") {
    if (said_.insert(about.empty() ? note : about).second) notes_.push_back(note);
  }

  const Impl& impl_;
  const std::map<std::string, std::string>& faults_;
  Json notes_ = Json::array();
  std::set<std::string> said_;
  std::vector<std::pair<std::string, std::string>> missing_;  // why, and of which cells
  std::map<int64_t, Json> pictures_;
  Json maps_;
  std::map<std::string, std::size_t> used_;  // bytes, by kind
};

Gallery::Gallery(GalleryRequest request) : impl_(std::make_unique<Impl>(std::move(request))) {}
Gallery::~Gallery() = default;
Gallery::Gallery(Gallery&&) noexcept = default;

bool Gallery::has_scores() const { return !impl_->evaluations.empty(); }

nlohmann::json Gallery::wishes() const { return impl_->wishes(); }

nlohmann::json Gallery::page(const std::map<std::string, std::string>& faults) const {
  return Page(*impl_, faults).json();
}

}  // namespace silc
