#include "formats.h"

#include <xxhash.h>
#include <zlib.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <nlohmann/json.hpp>

#include "pictures/resample.h"
#include "plugins/datasets/class_lists.h"
#include "plugins/datasets/shard_index.h"
#include "silc/utf8.h"
#include "tests/plugins/datasets/made_files.h"
#include "tests/plugins/datasets/made_tar.h"
#include "tokens/bpe.h"
#include "tokens/clean.h"
#include "tokens/unicode.h"
#include "weights/export.h"
#include "weights/model_file.h"
#include "weights/pickle.h"
#include "weights/statistics.h"

extern "C" silc::Dataset* silc_dataset_cifar(const silc::DatasetContext& context);
extern "C" silc::Dataset* silc_dataset_coco(const silc::DatasetContext& context);
extern "C" silc::Dataset* silc_dataset_idx(const silc::DatasetContext& context);
extern "C" silc::Dataset* silc_dataset_segmentation_folder(const silc::DatasetContext& context);
extern "C" silc::Dataset* silc_dataset_table(const silc::DatasetContext& context);
extern "C" silc::Dataset* silc_dataset_webdataset(const silc::DatasetContext& context);

namespace silc::testing {
namespace {

using namespace std::literals;
using Json = nlohmann::json;
using Changes = std::map<std::string, OptionValue>;

namespace fs = std::filesystem;

void require(bool holds, const char* what) {
  if (holds) return;
  std::fprintf(stderr, "fuzz: does not hold: %s\n", what);
  std::abort();
}

// A header of a few bytes may promise a picture that takes seconds to decode, and shows nothing that a small one does
// not.
constexpr int64_t kMostPixelsDecoded = int64_t{1} << 20;

bool pixels_fit(const Image& image) {
  return static_cast<std::size_t>(image.width * image.height * 3) == image.rgb.size();
}

// Decodes a region at a reduced size, and makes a view of it.
void read_part(const Image& image, const Region& region, int64_t reduction) {
  const PicturePart part = decode_part(image, region, reduction);
  require(pixels_fit(part.pixels), "the pixels of a part fit its size");
  require(part.x <= region.x && part.y <= region.y &&
              part.x + part.pixels.width * part.reduction >= region.x + region.width &&
              part.y + part.pixels.height * part.reduction >= region.y + region.height,
          "a part covers its region");
  constexpr int64_t kSide = 5;
  std::vector<float> view(3 * kSide * kSide);
  resample(part, {.begin = region.x, .length = region.width, .size = kSide, .first = 0, .count = kSide},
           {.begin = region.y, .length = region.height, .size = kSide, .first = 0, .count = kSide},
           Interpolation::bicubic, true, view.data());
  require(std::all_of(view.begin(), view.end(), [](float value) { return value >= -1 && value <= 1; }),
          "a view lies in [-1, 1]");
}

void read_image(const Image& image) {
  require(image.width > 0 && image.height > 0, "a picture has pixels");
  if (image.width * image.height > kMostPixelsDecoded) return;
  read_part(image, {.x = 0, .y = 0, .width = image.width, .height = image.height}, 1);
  read_part(image,
            {.x = image.width / 3,
             .y = image.height / 4,
             .width = std::max<int64_t>(1, image.width / 2),
             .height = std::max<int64_t>(1, image.height / 2)},
            image.width % 2 == 0 ? 2 : 8);
}

void read_picture(const std::string& file) { read_image(encoded_image({file.begin(), file.end()}, "a picture")); }

// All stored photographs of a format: "jpeg_420", "jpeg_grey", …
std::vector<std::string> photographs(std::string_view format) {
  std::vector<std::string> files;
  for (const auto& [name, tensor] : stored().tensors())
    if (name.starts_with(format) && name.ends_with(".file"))
      files.push_back(stored_photo(name.substr(0, name.size() - 5)));
  return files;
}

// Where files are put that only a dataset can read.
MadeFolder& folder() {
  static MadeFolder folder;
  return folder;
}

void put(const std::string& name, const std::string& content) {
  static const bool once = [] {
    setenv("XDG_CACHE_HOME", (folder() / "cache").c_str(), 1);
    folder().add_photo("pictures/train/a.jpg");
    folder().add_photo("pictures/train/b.png", "png_rgb");
    folder().add("pictures/names.txt", "cat\ndog\n");
    return true;
  }();
  static_cast<void>(once);
  folder().add(name, content);
}

void check_sample(const Sample& sample, std::size_t classes) {
  require(!sample.captions.empty(), "a sample has a caption");
  require(sample.label >= kNoLabel && sample.label < static_cast<int64_t>(classes), "a label is one of the classes");
  if (!sample.mask.empty()) {
    require(sample.mask.size() == static_cast<std::size_t>(sample.image.width * sample.image.height),
            "a mask fits its picture");
    require(std::all_of(sample.mask.begin(), sample.mask.end(),
                        [&](uint8_t label) { return label == kIgnoreLabel || label < classes; }),
            "a mask shows classes");
  }
  for (const Box& box : sample.boxes)
    require(box.x0 < box.x1 && box.y0 < box.y1 && box.x0 >= 0 && box.y0 >= 0 &&
                box.x1 <= static_cast<float>(sample.image.width) && box.y1 <= static_cast<float>(sample.image.height) &&
                box.label >= 0 && box.label < static_cast<int64_t>(classes),
            "a box lies in its picture");
  sample.image.encoded.empty() ? require(pixels_fit(sample.image), "pixels fit their picture")
                               : read_image(sample.image);
}

void read_dataset(OpenDataset::Factory factory, const std::string& name, const Changes& changes) {
  const OpenDataset dataset(factory, name, "train", changes);
  constexpr int64_t kLooks = 8;
  require(dataset->size() > 0, "an open dataset has samples");
  static_cast<void>(dataset->fingerprint());
  const std::size_t classes = dataset->classes().size();
  for (int64_t i = 0; i < std::min(kLooks, dataset->size()); ++i) {
    refusal([&] { check_sample(dataset->sample(i), classes); });
    refusal([&] { static_cast<void>(dataset->captions(i)); });
  }
}

// PNG: each chunk's CRC.
void mend_png(std::string& file) {
  const auto byte = [&](std::size_t at) { return static_cast<uint32_t>(static_cast<uint8_t>(file[at])); };
  for (std::size_t at = 8; at + 12 <= file.size();) {
    const std::size_t length = byte(at) << 24 | byte(at + 1) << 16 | byte(at + 2) << 8 | byte(at + 3);
    if (length > file.size() - at - 12) return;
    const auto* chunk = reinterpret_cast<const Bytef*>(file.data() + at + 4);
    const auto crc = static_cast<uint32_t>(crc32(0, chunk, static_cast<uInt>(length + 4)));
    for (std::size_t i = 0; i < 4; ++i) file[at + 8 + length + i] = static_cast<char>(crc >> (24 - 8 * i) & 0xFF);
    at += length + 12;
  }
}

std::vector<std::string> label_maps() {
  return {label_map(kPhotoWidth, kPhotoHeight, [](int64_t x, int64_t y) { return static_cast<uint8_t>((x + y) % 3); }),
          stored_photo("labels_grey"), stored_photo("labels_palette")};
}

void read_label_map(const std::string& file) {
  const Image header = encoded_image({file.begin(), file.end()}, "a label map");
  if (header.width * header.height > kMostPixelsDecoded) return;
  put("labels/images/train/a.jpg", stored_photo());
  put("labels/annotations/train/a.png", file);
  put("labels/classes.txt", "0\t-\n1\tcat\n2\tdog\n");
  refusal([&] {
    const LabelMap map = decode_label_map({reinterpret_cast<const uint8_t*>(file.data()), file.size()}, "a label map");
    require(map.values.size() == static_cast<std::size_t>(map.width * map.height), "a label map fits its size");
  });
  read_dataset(silc_dataset_segmentation_folder, "segmentation_folder",
               {{"folder", folder() / "labels"}, {"classes", folder() / "labels/classes.txt"}});
}

std::vector<std::string> shards() {
  return {MadeTar()
              .add("00/a.jpg", stored_photo())
              .add("00/a.txt", "a red disc\n")
              .add("00/a.cls", "1")
              .add("00/b.json", R"({"caption": ["one", "two"], "width": 75})")
              .add("00/b.PNG", stored_photo("png_grey"))
              .bytes(),
          MadeTar()
              .add_gnu_long(std::string(120, 'd') + "/a.jpg", stored_photo("jpeg_grey"))
              .add_gnu_long(std::string(120, 'd') + "/a.txt", "gnu")
              .add_pax(std::string(120, 'e') + "/b.webp", stored_photo("webp_lossy"))
              .add_pax(std::string(120, 'e') + "/b.txt", "pax")
              .bytes()};
}

Changes shard_options() { return {{"folder", folder() / "shards"}, {"class_names", folder() / "pictures/names.txt"}}; }

void read_shard(const std::string& file) {
  put("shards/train.tar", file);
  // An index goes by size and time, and files that are written this fast have the same.
  std::filesystem::remove(folder() / "shards/train.tar.silc-index");
  read_dataset(silc_dataset_webdataset, "webdataset", shard_options());
}

// The shard stays as it is for as long as the program runs.
const std::string& indexed_shard() {
  static const std::string shard = [] {
    put("shards/train.tar", shards().front());
    static_cast<void>(datasets::ShardIndex(folder() / "shards/train.tar"));
    return folder() / "shards/train.tar";
  }();
  return shard;
}

std::vector<std::string> shard_indexes() { return {read_all(indexed_shard() + ".silc-index")}; }

void read_shard_index(const std::string& file) {
  put("shards/" + std::filesystem::path(indexed_shard()).filename().string() + ".silc-index", file);
  read_dataset(silc_dataset_webdataset, "webdataset", shard_options());
}

// The header's 40 bytes, and the hash of them.
void mend_shard_index(std::string& file) {
  constexpr std::size_t kHashed = 40;
  if (file.size() < kHashed + 8) return;
  const uint64_t check = XXH3_64bits(file.data(), kHashed);
  file.replace(kHashed, 8, reinterpret_cast<const char*>(&check), 8);
}

std::vector<std::string> tables() {
  return {"path,caption\na.jpg,one\nb.png,\"two, with\na break and \"\"quotes\"\"\"\na.jpg,three\n",
          "\xEF\xBB\xBFpath,caption,class,set\r\na.jpg,A cat,cat,train\r\nb.png,A dog,dog,val\r\n",
          "path\tcaption\tclass\tset\na.jpg\tA \"cat\"\tcat\ttrain\n\nb.png\t\tdog\ttrain\n"};
}

void read_table(const std::string& file) {
  put("tables/t.csv", file);
  put("tables/t.tsv", file);
  const Changes plain = {{"table", folder() / "tables/t.csv"}, {"folder", folder() / "pictures/train"}};
  refusal([&] { read_dataset(silc_dataset_table, "table", plain); });
  for (const std::string name : {"t.csv", "t.tsv"}) {
    Changes all = plain;
    all["table"] = folder() / ("tables/" + name);
    all["label"] = "class"s;
    all["split_column"] = "set"s;
    refusal([&] { read_dataset(silc_dataset_table, "table", all); });
  }
}

std::vector<std::string> annotations() {
  const auto object = [](int id, int category, const Json& segmentation) {
    return Json{{"id", id},
                {"image_id", 9},
                {"category_id", category},
                {"area", 100.5},
                {"iscrowd", segmentation.is_array() ? 0 : 1},
                {"bbox", {10, 20.5, 10, 10}},
                {"caption", "a \u00e9toile"},
                {"segmentation", segmentation}};
  };
  const Json file = {
      {"info", {{"year", 2017}}},
      {"images", {{{"id", 9}, {"file_name", "a.jpg"}, {"width", kPhotoWidth}, {"height", kPhotoHeight}}}},
      {"categories", {{{"id", 90}, {"name", "toothbrush"}}, {{"id", 1}, {"name", "person"}}}},
      {"annotations",
       {object(1, 90, {{10, 20, 20, 20, 20.5, 30, 10, 30}}),
        object(2, 1, {{"size", {kPhotoHeight, kPhotoWidth}}, {"counts", {100, 200, kPhotoWidth * kPhotoHeight - 300}}}),
        object(3, 1, {{"size", {kPhotoHeight, kPhotoWidth}}, {"counts", "T3X6dl2"}})}}};
  return {file.dump(), file.dump(1)};
}

void read_annotations(const std::string& file) {
  put("coco/all.json", file);
  read_dataset(silc_dataset_coco, "coco",
               {{"images", folder() / "pictures/train"},
                {"captions_file", folder() / "coco/all.json"},
                {"objects_file", folder() / "coco/all.json"}});
}

std::vector<std::string> cifar_batches() {
  std::string ten, hundred;
  for (int i = 0; i < 3; ++i) {
    ten += static_cast<char>(i) + std::string(3072, static_cast<char>(40 * i));
    hundred += std::string(1, '\0') + static_cast<char>(i) + std::string(3072, static_cast<char>(50 * i));
  }
  return {ten, hundred};
}

void read_cifar(const std::string& file) {
  for (const std::string number : {"1", "2", "3", "4", "5"}) put("ten/data_batch_" + number + ".bin", file);
  put("ten/batches.meta.txt", "cat\ndog\nold_bird\n");
  put("hundred/train.bin", file);
  put("hundred/fine_label_names.txt", "cat\ndog\nold_bird\n");
  for (const std::string name : {"ten", "hundred"})
    refusal([&] {
      read_dataset(silc_dataset_cifar, "cifar", {{"folder", folder() / name}, {"validation", int64_t{1}}});
    });
}

constexpr uint32_t kIdxPictures = 0x803, kIdxLabels = 0x801;

std::vector<std::string> idx_files() {
  const std::string pictures = idx_bytes(kIdxPictures, {4, 5, 6}, std::vector<uint8_t>(120, 77));
  write_gzip(folder() / "packed.gz", pictures);
  return {pictures, read_all(folder() / "packed.gz"), idx_bytes(kIdxLabels, {4}, {0, 1, 2, 9})};
}

void read_idx_file(const std::string& file) {
  put("idx/train-images-idx3-ubyte", file);
  put("idx/train-labels-idx1-ubyte", idx_bytes(kIdxLabels, {4}, {0, 1, 2, 9}));
  put("idx_labels/train-images-idx3-ubyte", idx_bytes(kIdxPictures, {4, 5, 6}, std::vector<uint8_t>(120, 77)));
  put("idx_labels/train-labels-idx1-ubyte", file);
  for (const std::string name : {"idx", "idx_labels"})
    refusal([&] { read_dataset(silc_dataset_idx, "idx", {{"folder", folder() / name}, {"validation", int64_t{1}}}); });
}

std::vector<std::string> class_lists() {
  return {"# values, and what they mean\n0\t-\n1\tcat\n2\told bird\n65535\tvoid\n",
          "\xEF\xBB\xBF"
          "3\tcaf\xC3\xA9\r\n7\t-\r\n"};
}

void read_classes(const std::string& file) {
  put("classes.txt", file);
  const datasets::LabelClasses classes(datasets::read_list(folder() / "classes.txt"), "classes.txt");
  const std::size_t count = classes.names().size();
  require(count > 0 && count <= kIgnoreLabel, "a list has classes");
  for (uint32_t value = 0; value < 65536; value += 255)
    refusal([&] {
      const uint8_t label = classes.classes_of({static_cast<uint16_t>(value)}, "a label map").front();
      require(label == kIgnoreLabel || label < count, "a value is a class or none");
    });
}

std::vector<std::string> captions() {
  return Json::parse(read_all(SILC_SOURCE_DIR "/tests/data/tokenizers.json")).at("texts");
}

std::string merges() { return read_packed(SILC_SOURCE_DIR "/tests/data/clip_vocabulary.txt.gz"); }

void require_ids_of(const Bpe& bpe, std::u32string_view text) {
  const std::vector<int64_t> ids = bpe.encode(text);
  require(std::all_of(ids.begin(), ids.end(), [&](int64_t id) { return id >= 0 && id < bpe.size(); }),
          "ids lie in the vocabulary");
}

void read_caption(const std::string& file) {
  static const Bpe kBpe(merges(), "merges");
  for (const auto cleaning : {Cleaning::lower_ascii, Cleaning::lower_case, Cleaning::without_punctuation,
                              Cleaning::whitespace, Cleaning::lower, Cleaning::canonicalize}) {
    const std::u32string text = clean(file, cleaning);
    require(is_utf8(to_utf8(text)), "a cleaned text is UTF-8");
    require_ids_of(kBpe, text);
  }
}

void read_merges(const std::string& file) { require_ids_of(Bpe(file, "merges"), U"a photo of two red dresses, 99 €"); }

std::vector<std::string> files_of_weights(const std::vector<std::string>& names) {
  std::vector<std::string> files;
  for (const std::string& name : names) files.push_back(read_all(SILC_SOURCE_DIR "/tests/data/weights/" + name));
  return files;
}

void read_weights(const std::string& file) {
  put("weights", file);
  const auto weights = open_weights(folder() / "weights");
  for (const auto& [name, shape] : weights->tensors())
    refusal([&, &name = name] {
      require(figures_of(*weights, name).tensors == 1, "a tensor that can be read has figures");
    });
}

fs::path foreign(const std::string& name) { return SILC_SOURCE_DIR "/tests/data/foreign/" + name; }

// Reads a model and makes all of silc's tensors from it.
void read_model(const fs::path& path) {
  const ModelFile model = read_model_file(path);
  require(model.has("image"), "a model has an image tower");
  refusal([&] { static_cast<void>(with_teacher(model)); });
  for (const auto& [name, recipe] : model.tensors)
    refusal([&, &recipe = recipe] {
      const HostTensor tensor = follow(recipe, *model.weights);
      require(tensor.shape == recipe.shape, "a recipe gives the shape that it names");
      require(byte_size("F32", tensor.shape) == tensor.values.size() * sizeof(float),
              "a recipe gives as many values as its shape has");
    });
  for (const ExportFormat format : {ExportFormat::open_clip, ExportFormat::hugging_face, ExportFormat::safetensors})
    refusal([&] {
      const ModelExport planned = plan_export(model, {.format = format, .tokenizer = false, .decoder = false});
      require(!planned.tensors.empty(), "an export has tensors");
    });
}

// As silc exports one: its settings are in the metadata.
std::string exported_model() {
  const std::vector<float> values(12, 0.5F);
  const std::map<std::string, TensorView> tensors = {
      {"model.image.projection", {.dtype = "F32", .shape = {3, 4}, .bytes = std::as_bytes(std::span(values))}},
      {"objective.teacher.image.projection",
       {.dtype = "F32", .shape = {4, 3}, .bytes = std::as_bytes(std::span(values))}}};
  put("exported", "");
  write_safetensors(folder() / "exported", tensors,
                    {{std::string(kModelMetadata), R"({"image": {"backbone": "vit", "width": 3}, "embed_dim": 4})"}});
  return read_all(folder() / "exported");
}

// Models of one file, the smaller towers of each family.
std::vector<std::string> model_files() {
  std::vector<std::string> files = {exported_model()};
  for (const char* const name :
       {"open_clip_fp16/model.safetensors", "open_clip_siglip_file/model.safetensors",
        "open_clip_checkpoint/epoch_3.pt", "openai_script/model.pt", "big_vision_vit/model.npz",
        "big_vision_siglip_scanned/model.npz", "timm_vit/model.pth", "dinov2_native_registers/model.pth",
        "hf_siglip/model/model.safetensors"})
    files.push_back(read_all(foreign(name)));
  return files;
}

void read_model_bytes(const std::string& file) {
  put("model/model.safetensors", file);
  // Hugging Face's files are told by the settings beside them.
  const bool with_settings = file.find("vision_model.embeddings.") != std::string::npos;
  if (with_settings)
    put("model/config.json", read_all(foreign("hf_siglip/model/config.json")));
  else
    fs::remove(folder() / "model/config.json");
  read_model(folder() / "model");
}

// A case and the file of its folder that is changed, on a line of its own; then the file.
std::vector<std::string> model_settings() {
  std::vector<std::string> files;
  for (const auto& [model, name] :
       {std::pair{"open_clip_hub", "open_clip_config.json"},
        std::pair{"open_clip_siglip_tanh_hub", "open_clip_config.json"},
        std::pair{"hf_clip_sharded", "model.safetensors.index.json"}, std::pair{"hf_clip_sharded", "config.json"},
        std::pair{"hf_siglip", "config.json"}, std::pair{"hf_siglip", "preprocessor_config.json"},
        std::pair{"hf_siglip2_naflex", "config.json"}, std::pair{"hf_dinov2_swiglu", "config.json"}})
    files.push_back(std::string(model) + "\n" + name + "\n" + read_all(foreign(model) / "model" / name));
  return files;
}

void read_model_settings(const std::string& file) {
  const std::size_t first = file.find('\n'), second = file.find('\n', first + 1);
  if (second == std::string::npos) throw Error("these are no settings of a model");
  const std::string model = file.substr(0, first), name = file.substr(first + 1, second - first - 1);
  const std::vector<std::string> seeds = model_settings();
  if (std::none_of(seeds.begin(), seeds.end(),
                   [&](const std::string& seed) { return seed.starts_with(file.substr(0, second + 1)); }))
    throw Error("there is no such model");
  fs::remove_all(folder() / "settings");
  fs::copy(foreign(model) / "model", folder() / "settings");
  put("settings/" + name, file.substr(second + 1));
  read_model(folder() / "settings");
}

// The pickles in files of weights, which PyTorch does not pack.
std::vector<std::string> pickles() {
  std::vector<std::string> found;
  for (const std::string& file : files_of_weights({"state_dict.pt", "checkpoint.pt", "script.pt"}))
    found.push_back(file.substr(file.find("\x80\x02")));
  return found;
}

void read_pickle(const std::string& file) { pickle::Pickle(std::as_bytes(std::span(file)), "pickle"); }

}  // namespace

const std::vector<Format>& formats() {
  static const std::vector<Format> all = {
      {.name = "jpeg",
       .seeds = [] { return photographs("jpeg"); },
       .read = read_picture,
       .words = {"\xFF\xD8\xFF"sv, "\xFF\xC0"sv, "\xFF\xC2"sv, "\xFF\xC4"sv, "\xFF\xDA"sv, "\xFF\xDB"sv, "\xFF\xDD"sv,
                 "\xFF\xE1"sv, "\xFF\xEE"sv, "\xFF\xD9"sv, "Exif\0\0II*\0\10\0\0\0"sv, "Exif\0\0MM\0*\0\0\0\10"sv,
                 "Adobe"sv}},
      {.name = "png",
       .seeds =
           [] {
             std::vector<std::string> files = photographs("png");
             files.push_back(stored_photo("one_pixel"));
             return files;
           },
       .read = read_picture,
       .mend = mend_png,
       .words = {"IHDR"sv, "PLTE"sv, "IDAT"sv, "IEND"sv, "tRNS"sv, "eXIf"sv, "iCCP"sv, "gAMA"sv, "zTXt"sv,
                 "\0\0\0\0"sv}},
      {.name = "webp",
       .seeds = [] { return photographs("webp"); },
       .read = read_picture,
       .words = {"VP8 "sv, "VP8L"sv, "VP8X"sv, "ALPH"sv, "ANIM"sv, "ANMF"sv, "EXIF"sv, "ICCP"sv, "RIFF"sv}},
      {.name = "webdataset",
       .seeds = shards,
       .read = read_shard,
       .mend = [](std::string& file) { file = MadeTar::with_checksums(std::move(file)); },
       .words = {"ustar"sv, "././@LongLink"sv, "PaxHeaders/x"sv, "13 path=a.jpg\n"sv, "20 size=12345678901\n"sv,
                 ".txt"sv, ".jpg"sv, ".json"sv, ".cls"sv, "00000000000"sv, "77777777777"sv,
                 "\x80\0\0\0\0\0\0\0\0\0\0\1"sv, "{\"caption\": []}"sv}},
      {.name = "shard_index", .seeds = shard_indexes, .read = read_shard_index, .mend = mend_shard_index},
      {.name = "table",
       .seeds = tables,
       .read = read_table,
       .words = {"\""sv, "\"\""sv, ","sv, "\t"sv, "\r\n"sv, "\n"sv, "\xEF\xBB\xBF"sv, "path"sv, "caption"sv, "class"sv,
                 "set"sv, "train"sv, "../"sv, "a.jpg"sv}},
      {.name = "coco",
       .seeds = annotations,
       .read = read_annotations,
       .words = {"[]"sv, "{}"sv, "null"sv, "-1"sv, "1e300"sv, "1e-300"sv, "9223372036854775807"sv,
                 "18446744073709551615"sv, "\"counts\":"sv, "\"segmentation\":"sv, "\"bbox\":[]"sv, "\\u0000"sv,
                 "\\ud800"sv, "true"sv, "[["sv}},
      {.name = "cifar", .seeds = cifar_batches, .read = read_cifar},
      {.name = "idx",
       .seeds = idx_files,
       .read = read_idx_file,
       .words = {"\0\0\10\3"sv, "\0\0\10\1"sv, "\x1F\x8B\10"sv}},
      {.name = "label_map",
       .seeds = label_maps,
       .read = read_label_map,
       .mend = mend_png,
       .words = {"IHDR"sv, "PLTE"sv, "IDAT"sv, "IEND"sv, "tRNS"sv}},
      {.name = "class_list",
       .seeds = class_lists,
       .read = read_classes,
       .words = {"\t-\n"sv, "\t"sv, "\n"sv, "\r\n"sv, "#"sv, "255\t"sv, "65536\t"sv, "\xEF\xBB\xBF"sv, "-1\t"sv}},
      {.name = "caption",
       .seeds = captions,
       .read = read_caption,
       .words = {"&amp;"sv, "&#x"sv, "&#1114112;"sv, "&EACUTE;"sv, "\xC3\x83\xC2"sv, "\xC3\xA2\xE2\x82\xAC"sv,
                 "\xC3\xAD\xC2\xA0"sv, "\xC3\x80\xC2\x80"sv, "\xEF\xBF\xBD"sv, "\x1B[0m"sv, "<"sv, "\n"sv,
                 "<end_of_text>"sv, "'s"sv, "\xCD\x85"sv}},
      {.name = "merges",
       .seeds = [] { return std::vector{merges()}; },
       .read = read_merges,
       .words = {"\n"sv, " "sv, "</w>"sv, "\na b"sv, "\xC4\xA0"sv, "\r\n"sv, "\n\n"sv}},
      {.name = "weights",
       .seeds =
           [] {
             return files_of_weights(
                 {"state_dict.pt", "checkpoint.pt", "script.pt", "plain.npz", "packed.npz", "plain.safetensors"});
           },
       .read = read_weights,
       .words = {"PK\3\4"sv, "PK\1\2"sv, "PK\5\6"sv, "data.pkl"sv, "(3, 4)"sv, "'<f4'"sv, "True"sv}},
      {.name = "model",
       .seeds = model_files,
       .read = read_model_bytes,
       .words = {"PK\3\4"sv, "PK\5\6"sv, "data.pkl"sv, "(1, 16)"sv, "'<f4'"sv, "'|V2'"sv, "\"F32\""sv, "\"BF16\""sv,
                 "\"shape\":[0]"sv, "\"shape\":[]"sv, "visual."sv, "module."sv, "resblocks.0."sv, "resblocks.1."sv,
                 "params/"sv, "encoderblock_0/"sv, "encoderblock/"sv}},
      {.name = "model_settings",
       .seeds = model_settings,
       .read = read_model_settings,
       .words = {"null"sv,
                 "{}"sv,
                 "[]"sv,
                 "0"sv,
                 "-1"sv,
                 "1e300"sv,
                 "9223372036854775807"sv,
                 "18446744073709551616"sv,
                 "true"sv,
                 "\"\""sv,
                 "\"../x\""sv,
                 "\"siglip2\""sv,
                 "\"clip\""sv,
                 "\"dinov2_with_registers\""sv,
                 "\"model_type\":"sv,
                 "\"text_cfg\":"sv,
                 "\"head_width\":"sv,
                 "\"num_attention_heads\":"sv,
                 "\"weight_map\":"sv,
                 "\"patch_size\":"sv,
                 "\"resample\":"sv,
                 "\"size\":"sv}},
      {.name = "pickle",
       .seeds = pickles,
       .read = read_pickle,
       .words = {"ctorch\nFloatStorage\n"sv, "ctorch._utils\n_rebuild_tensor_v2\n"sv, "ccollections\nOrderedDict\n"sv,
                 "("sv, ")R"sv, "}"sv, "]"sv, "\x85"sv, "\x86"sv, "\x87"sv, "Q"sv, "h\0"sv, "\x94"sv, "b"sv, "u"sv,
                 "e"sv}},
  };
  return all;
}

}  // namespace silc::testing
