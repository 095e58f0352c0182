// What the model of a trained cell makes of pictures, by the real engine, against the scores of its evaluation.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fstream>

#include "files/base64.h"
#include "files/safetensors.h"
#include "registry/gallery.h"
#include "schedule/illustrations.h"
#include "silc/error.h"
#include "tests/end_to_end/silc_runs.h"
#include "tests/end_to_end/tiny_model.h"

namespace silc {
namespace {

using ::testing::Contains;
using ::testing::HasSubstr;
using Json = nlohmann::json;

const std::string kExperiment = R"(
[experiment]
name = "pair"

[budget]
examples = 1600
)" + std::string(testing::kTinyModel) +
                                R"(
[optimizer]
lr = 3e-3
batch = 16

[engine]
device = "cpu"

[[evaluate]]
evaluator = "zero_shot_classification"
dataset = { dataset = "shapes", examples = 96 }

[[evaluate]]
evaluator = "zero_shot_segmentation"
dataset = { dataset = "shapes", examples = 96 }

[[evaluate]]
evaluator = "retrieval"
dataset = { dataset = "shapes", examples = 96 }

[[row]]
name = "CLIP"
objective = "clip"

[[row]]
name = "SigLIP"
objective = { name = "siglip", initial_bias = -2.7 }
)";

template <class Number>
std::vector<Number> tensor(const SafetensorsFile& file, const std::string& name) {
  const std::span<const std::byte> bytes = file.tensors().at(name).bytes;
  std::vector<Number> numbers(bytes.size() / sizeof(Number));
  std::memcpy(numbers.data(), bytes.data(), bytes.size());
  return numbers;
}

std::vector<uint8_t> unrolled(const Json& mask) {
  const std::vector<uint8_t> runs = *from_base64(mask["runs"].get<std::string>());
  std::vector<uint8_t> pixels;
  for (std::size_t i = 0; i < runs.size();) {
    std::size_t length = 0;
    for (int shift = 0;; shift += 7) {
      length |= static_cast<std::size_t>(runs[i] & 0x7F) << shift;
      if ((runs[i++] & 0x80) == 0) break;
    }
    pixels.insert(pixels.end(), length, runs[i++]);
  }
  return pixels;
}

// Bilinear, align_corners = false: [h, w] → [height, width].
std::vector<double> upsampled(const std::vector<double>& grid, int64_t h, int64_t w, int64_t height, int64_t width) {
  std::vector<double> result;
  const auto place = [](int64_t i, int64_t from, int64_t to) {
    const double at = (static_cast<double>(i) + 0.5) * static_cast<double>(from) / static_cast<double>(to) - 0.5;
    return std::clamp(at, 0.0, static_cast<double>(from - 1));
  };
  for (int64_t y = 0; y < height; ++y)
    for (int64_t x = 0; x < width; ++x) {
      const double v = place(y, h, height), u = place(x, w, width);
      const auto y0 = static_cast<int64_t>(v), x0 = static_cast<int64_t>(u);
      const int64_t y1 = std::min(y0 + 1, h - 1), x1 = std::min(x0 + 1, w - 1);
      const auto at = [&](int64_t row, int64_t column) { return grid[static_cast<std::size_t>(row * w + column)]; };
      const double top = std::lerp(at(y0, x0), at(y0, x1), u - static_cast<double>(x0));
      const double bottom = std::lerp(at(y1, x0), at(y1, x1), u - static_cast<double>(x0));
      result.push_back(std::lerp(top, bottom, v - static_cast<double>(y0)));
    }
  return result;
}

class Galleries : public testing::SilcRuns {
 protected:
  Galleries() : SilcRuns(kExperiment) {}

  GalleryRequest request() {
    GalleryRequest request{.cells = {}, .baseline = "CLIP", .words = {"a red circle"}};
    for (const RunFolder& folder : folders("runs"))
      request.cells.push_back({.row = folder.path.parent_path().filename() == "clip" ? "CLIP" : "SigLIP",
                               .seed = 0,
                               .folder = folder.path});
    return request;
  }

  static std::map<std::string, std::string> illustrate(const Json& wishes) {
    return make_illustrations(
        {.program = std::filesystem::path(SILC_BINARY_DIR) / "bin/silc-engine", .plugin_paths = {}}, wishes, 1);
  }

  static Json gallery(const RunFolder& folder, const std::string& evaluation) {
    return Json::parse(read_file(folder.gallery() / (evaluation + "-student.json")));
  }
  static SafetensorsFile scores(const RunFolder& folder, const std::string& evaluation) {
    return SafetensorsFile(folder.samples() / (evaluation + "-student.safetensors"));
  }
  static double metric(const RunFolder& folder, const std::string& name) {
    const Json all = Json::parse(read_file(folder.metrics()));
    for (const auto& metric : all["metrics"])
      if (metric["name"] == name) return metric["value"];
    return std::nan("");
  }
};

double mean(const Json& results) {
  double sum = 0;
  int count = 0;
  for (const Json& result : results)
    if (!result.is_null()) {
      sum += result.get<double>();
      ++count;
    }
  return sum / count;
}

TEST_F(Galleries, ShowWhatTheEvaluationScored) {
  ASSERT_EQ(run("runs"), 0) << output("runs");
  const auto before = result("runs");
  EXPECT_TRUE(illustrate(Gallery(request()).wishes()).empty());
  EXPECT_TRUE(result("runs") == before) << "checkpoints, scores and metrics are left as they are";
  const Gallery shown(request());
  EXPECT_TRUE(shown.wishes()["cells"].empty());
  const Json page = shown.page();
  EXPECT_TRUE(page["notes"].empty()) << page["notes"];

  for (const Json& evaluation : page["evaluations"])
    for (std::size_t r = 0; r < 2; ++r) {
      const std::string metric_name = evaluation["kind"] == "classification" ? "mean_per_class_recall"
                                      : evaluation["kind"] == "segmentation" ? "miou"
                                                                             : "";
      if (!metric_name.empty()) {
        EXPECT_NEAR(mean(evaluation["class_results"][r]), metric(folders("runs")[r], metric_name), 1e-4);
      }
    }

  for (const RunFolder& folder : folders("runs")) {
    const Json classified = gallery(folder, "zero-shot-classification");
    EXPECT_EQ(classified["probability"], folder.path.parent_path().filename() == "clip" ? "softmax" : "sigmoid");
    EXPECT_EQ(classified["pictures"].size(), 24U);
    const SafetensorsFile samples = scores(folder, "zero-shot-classification");
    const auto prediction = tensor<int64_t>(samples, "prediction"), label = tensor<int64_t>(samples, "label");
    for (const Json& picture : classified["pictures"]) {
      const auto i = picture["index"].get<std::size_t>();
      EXPECT_EQ(picture["guesses"][0]["class"], prediction[i]);
      EXPECT_EQ(picture["label"], label[i]);
      EXPECT_GE(picture["guesses"][0]["p"], picture["guesses"][1]["p"]);
      EXPECT_LE(picture["guesses"][0]["p"], 1.0);
    }

    const Json segmented = gallery(folder, "zero-shot-segmentation");
    const SafetensorsFile counts = scores(folder, "zero-shot-segmentation");
    const auto intersection = tensor<int64_t>(counts, "intersection");
    const auto classes = static_cast<std::size_t>(counts.tensors().at("intersection").shape[1]);
    EXPECT_EQ(segmented["pictures"].size(), 12U);
    for (const Json& picture : segmented["pictures"]) {
      const auto truth = unrolled(picture["truth"]), predicted = unrolled(picture["predicted"]);
      ASSERT_EQ(truth.size(), picture["width"].get<std::size_t>() * picture["height"].get<std::size_t>());
      ASSERT_EQ(truth.size(), predicted.size());
      std::vector<int64_t> hits(classes);
      for (std::size_t p = 0; p < truth.size(); ++p)
        if (truth[p] == predicted[p]) ++hits[truth[p]];
      const auto own =
          intersection.begin() + picture["index"].get<std::ptrdiff_t>() * static_cast<std::ptrdiff_t>(classes);
      EXPECT_TRUE(std::equal(hits.begin(), hits.end(), own)) << picture["index"];
    }

    // The maps of the classes, enlarged, are what the evaluator predicted from.
    const Json& maps = segmented["maps"];
    EXPECT_LE(maps["error"], 0.01);
    EXPECT_THAT(maps["words"].get<std::vector<std::string>>(), Contains("a red circle"));
    const auto terms = maps["terms"].get<std::size_t>();
    const auto patches = *from_base64(maps["patches"].get<std::string>());
    const auto texts = *from_base64(maps["texts"].get<std::string>());
    ASSERT_EQ(texts.size(), maps["words"].size() * terms);
    const auto h = maps["grid"][0].get<int64_t>(), w = maps["grid"][1].get<int64_t>();
    const auto area = static_cast<std::size_t>(h * w);
    ASSERT_EQ(patches.size(), maps["pictures"].size() * area * terms);
    std::size_t pixels = 0;
    for (std::size_t m = 0; m < maps["pictures"].size(); ++m)
      for (const Json& picture : segmented["pictures"]) {
        if (picture["index"] != maps["pictures"][m]) continue;
        const auto height = picture["height"].get<int64_t>(), width = picture["width"].get<int64_t>();
        std::vector<std::vector<double>> of_class;
        for (std::size_t c = 0; c < classes; ++c) {
          std::vector<double> grid(area);
          for (std::size_t n = 0; n < area; ++n)
            for (std::size_t k = 0; k < terms; ++k)
              grid[n] += maps["scales"][k].get<double>() *
                         static_cast<double>(static_cast<int8_t>(patches[(m * area + n) * terms + k])) *
                         static_cast<double>(static_cast<int8_t>(texts[c * terms + k]));
          of_class.push_back(upsampled(grid, h, w, height, width));
        }
        const auto predicted = unrolled(picture["predicted"]);
        for (std::size_t p = 0; p < predicted.size(); ++p, ++pixels) {
          double best = -1;
          for (const std::vector<double>& scores_of_class : of_class) best = std::max(best, scores_of_class[p]);
          ASSERT_GE(of_class[predicted[p]][p], best - 2 * maps["error"].get<double>() - 1e-6) << picture["index"];
        }
      }
    EXPECT_GT(pixels, 0U);

    const Json retrieved = gallery(folder, "retrieval");
    EXPECT_EQ(retrieved["pictures"].size(), 8U);
    EXPECT_FALSE(retrieved["captions"].empty());
    EXPECT_FALSE(retrieved["thumbnails"].empty());
  }
}

TEST_F(Galleries, ThatCannotBeMadeSayWhy) {
  ASSERT_EQ(run("runs"), 0) << output("runs");
  const Json wishes = Gallery(request()).wishes();
  ASSERT_EQ(wishes["cells"].size(), 2U);
  const std::vector<RunFolder> cells = folders("runs");
  std::filesystem::remove_all(cells[0].checkpoints());
  std::filesystem::create_directory(cells[0].checkpoints());
  const auto faults = illustrate(wishes);
  ASSERT_EQ(faults.size(), 1U) << "the other row has its pictures";
  EXPECT_THAT(faults.at(cells[0].path), HasSubstr("there is no checkpoint"));
  const Json page = Gallery(request()).page(faults);
  EXPECT_THAT(page["notes"].dump(), HasSubstr("seed 0: there is no checkpoint"));
  EXPECT_FALSE(page["evaluations"][0]["shown"][1].is_null());

  Json strange = wishes;
  strange["cells"][0]["folder"] = (root_ / "nowhere").string();
  strange["cells"][1]["evaluations"][0]["pictures"] = {96};
  EXPECT_THAT(illustrate(strange).at(cells[1].path), HasSubstr("picture 96 is asked for, of 96"));
  strange = wishes;
  strange["cells"][1]["evaluations"][0]["samples"] = 95;
  EXPECT_THAT(illustrate(strange).at(cells[1].path), HasSubstr("where the evaluation had 95"));
  EXPECT_THROW(make_illustrations({.program = "/bin/false", .plugin_paths = {}}, wishes, 1), Error);
}

// The pictures' data in a page.
Json data_of(const std::string& page) {
  const std::string begin = "<template id=\"part:pictures:data\">";
  const std::size_t first = page.find(begin);
  if (first == std::string::npos) return nullptr;
  return Json::parse(page.substr(first + begin.size(), page.find("</template>", first) - first - begin.size()));
}

TEST_F(Galleries, AreAskedForByAReportThatShowsThem) {
  ASSERT_EQ(run("runs"), 0) << output("runs");
  const auto has_pictures = [](const Json& data) { return !data["evaluations"][0]["shown"][0].is_null(); };
  const auto report = [&](const std::string& arguments) { return data_of(report_of("--format html " + arguments)); };

  const Json without = report("--no-gallery");
  EXPECT_FALSE(has_pictures(without));
  EXPECT_EQ(without["notes"], (Json{"pictures were not asked for (--no-gallery)"}));
  EXPECT_FALSE(without["evaluations"][2]["class_results"][0].is_null()) << "the scores tell it";

  setenv("SILC_ENGINE", "/bin/false", 1);
  const Json failed = report("");
  EXPECT_FALSE(has_pictures(failed));
  EXPECT_THAT(failed["notes"].dump(), HasSubstr("no pictures: the engine ended without an answer"));
  unsetenv("SILC_ENGINE");

  const Json page = report("");
  EXPECT_TRUE(has_pictures(page));
  EXPECT_TRUE(page["notes"].empty()) << page["notes"];
  setenv("SILC_ENGINE", "/bin/false", 1);
  EXPECT_TRUE(report("") == page) << "once is enough";
  unsetenv("SILC_ENGINE");
  EXPECT_THAT(report("--word 'a red circle'")["evaluations"][2]["maps"]["words"].get<std::vector<std::string>>(),
              Contains("a red circle"));
}

// What a reader does, and what the page then shows, into an element of its own.
constexpr const char* kReader = R"js(<script>
addEventListener('error', event => { document.body.dataset.fault = event.message; });
addEventListener('load', async () => {
  const wait = () => new Promise(done => setTimeout(done, 100));
  const all = selector => [...document.querySelectorAll(selector)];
  const seen = {};
  for (let i = 0; i < 100 && all('.gallery canvas').length === 0; ++i) await wait();
  await wait();
  seen.cards = all('.gallery .card').length;
  seen.lines = all('.gallery .guesses li').length;
  all('.gallery-rows .chip')[1].click();
  seen.linesOfOneRow = all('.gallery .guesses li').length;
  all('.gallery-rows .chip')[1].click();

  const classes = all('.gallery .by-class')[0];
  seen.head = [...classes.tHead.rows[0].cells].map(cell => cell.textContent);
  seen.recalls = Object.fromEntries([...classes.tBodies[0].rows].map(row => [row.cells[0].textContent, row.cells[2].textContent]));

  const matrix = all('.gallery .confusion td');
  matrix[0].focus();
  matrix[0].dispatchEvent(new KeyboardEvent('keydown', {key: 'ArrowRight', bubbles: true}));
  seen.confusion = document.activeElement.getAttribute('aria-label');

  const mask = all('.gallery .crossed')[0];
  mask.focus();
  mask.dispatchEvent(new KeyboardEvent('keydown', {key: 'ArrowDown', bubbles: true}));
  seen.place = mask.closest('.card').querySelector('.readout').textContent;

  const input = document.querySelector('.gallery .ask input');
  const type = async text => {
    input.value = text;
    input.dispatchEvent(new Event('input'));
    await wait();
    return [document.querySelector('.gallery .ask + .readout').textContent, all('.gallery .maps canvas').length];
  };
  seen.word = await type('red');
  seen.words = await type('red circle');
  seen.unknown = await type('<b>zebra</b>');
  const element = document.createElement('pre');
  element.id = 'seen';
  element.textContent = JSON.stringify(seen);
  document.body.append(element);
});
</script></body>)js";

std::string replaced(std::string text, const std::string& from, const std::string& to) {
  const std::size_t at = text.find(from);
  return at == std::string::npos ? text : text.replace(at, from.size(), to);
}

TEST_F(Galleries, AnswerAReaderInABrowser) {
  if (std::system("command -v chromium > /dev/null") != 0) GTEST_SKIP() << "there is no chromium on this machine";
  ASSERT_EQ(run("runs"), 0) << output("runs");
  const std::string page = report_of("--format html");
  // The page's policy lets no script in but its own.
  const std::string open = replaced(page, "<meta http-equiv=\"Content-Security-Policy\"", "<meta name=\"policy\"");
  ASSERT_NE(open, page);
  std::ofstream(root_ / "page.html") << replaced(open, "</body>", kReader);
  const std::string command = "HOME='" + root_.string() +
                              "' timeout 120 chromium --headless --no-sandbox --disable-gpu --window-size=1200,900 "
                              "--virtual-time-budget=20000 --dump-dom 'file://" +
                              (root_ / "page.html").string() + "' > '" + (root_ / "dom.html").string() + "' 2> '" +
                              (root_ / "chromium.txt").string() + "'";
  ASSERT_EQ(std::system(command.c_str()), 0) << read_file(root_ / "chromium.txt");
  const std::string dom = read_file(root_ / "dom.html");
  EXPECT_THAT(dom, ::testing::Not(HasSubstr("data-fault")));
  const std::string begin = "<pre id=\"seen\">";
  const std::size_t first = dom.find(begin);
  ASSERT_NE(first, std::string::npos) << read_file(root_ / "chromium.txt");
  std::string text = dom.substr(first + begin.size(), dom.find("</pre>", first) - first - begin.size());
  for (const auto& [entity, letter] : {std::pair{"&lt;", "<"}, {"&gt;", ">"}, {"&amp;", "&"}})
    while (text.find(entity) != std::string::npos) text = replaced(text, entity, letter);
  const Json seen = Json::parse(text);

  EXPECT_EQ(seen["cards"], 8 + 24 + 12);
  EXPECT_EQ(seen["lines"], 2 * 24);
  EXPECT_EQ(seen["linesOfOneRow"], 24);
  EXPECT_EQ(seen["head"], (Json{"class", "pictures", "CLIP", "SigLIP"}));
  const Json data = data_of(page);
  const Json& classified = data["evaluations"][1];
  for (std::size_t c = 0; c < classified["classes"].size(); ++c) {
    char recall[16];
    std::snprintf(recall, sizeof recall, "%.1f %%", 100 * classified["class_results"][0][c].get<double>());
    EXPECT_EQ(seen["recalls"][classified["classes"][c].get<std::string>()], recall);
  }
  EXPECT_THAT(seen["confusion"].get<std::string>(), HasSubstr(" taken for "));
  EXPECT_THAT(seen["place"].get<std::string>(), ::testing::MatchesRegex("Here: truth .*; CLIP .*; SigLIP .*"));
  EXPECT_THAT(seen["word"][0].get<std::string>(), HasSubstr("How well each patch fits “red”: cosines"));
  EXPECT_EQ(seen["word"][1], 2 * 12);
  EXPECT_THAT(seen["words"][0].get<std::string>(), HasSubstr("the mean of its words"));
  EXPECT_THAT(seen["unknown"][0].get<std::string>(), HasSubstr("“<b>zebra</b>” is not among the"));
  EXPECT_EQ(seen["unknown"][1], 0);
}

}  // namespace
}  // namespace silc
