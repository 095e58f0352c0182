// make_samples FOLDER: a little of each kind of data that datasets of files read, for the conformance kit.
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "tests/plugins/datasets/made_files.h"
#include "tests/plugins/datasets/made_tar.h"

namespace silc::testing {
namespace {

// Pictures that differ, so that no two splits share one.
const std::vector<std::string> kTrain = {"jpeg_420", "jpeg_exif_6", "png_one_bit", "webp_lossy"};
const std::vector<std::string> kValidation = {"jpeg_grey", "png_palette", "webp_animated"};

std::string ending(const std::string& kind) { return "." + kind.substr(0, kind.find('_')); }

class Samples {
 public:
  explicit Samples(std::filesystem::path folder) : folder_(std::move(folder)) {}

  void make() const {
    add("classes.txt", "0\t-\n1\tsky\n2\tground\n");
    std::string table = "path,caption,label,split\n";
    for (const auto& [split, kinds] : {std::pair{std::string("train"), kTrain}, {"val", kValidation}}) {
      MadeTar tar;
      nlohmann::json captions = {{"images", nlohmann::json::array()}, {"annotations", nlohmann::json::array()}};
      int id = 0;
      for (const std::string& kind : kinds) {
        const Image size = encoded_image(stored_bytes(kind + ".file"), kind);
        const std::string file = kind + ending(kind);
        add("image_folder/" + split + "/" + kind.substr(0, 3) + "/" + file, stored_photo(kind));
        add("coco/" + split + "2017/" + file, stored_photo(kind));
        add("segmentation/images/" + split + "/" + file, stored_photo(kind));
        add("segmentation/annotations/" + split + "/" + kind + ".png",
            label_map(size.width, size.height, [](int64_t x, int64_t y) { return static_cast<uint8_t>((x + y) % 3); }));
        tar.add(file, stored_photo(kind)).add(kind + ".txt", "a photograph, " + kind);
        table += "image_folder/" + split + "/" + kind.substr(0, 3) + "/" + file + ",\"a photograph, " + kind + "\"," +
                 kind.substr(0, 3) + "," + split + "\n";
        captions["images"].push_back(
            {{"id", ++id}, {"file_name", file}, {"width", size.width}, {"height", size.height}});
        captions["annotations"].push_back({{"image_id", id}, {"caption", "a photograph"}});
      }
      add("webdataset/" + split + "-0.tar", tar.bytes());
      add("coco/annotations/captions_" + split + "2017.json", captions.dump());
      captions["categories"] = {{{"id", 4}, {"name", "disc"}}};
      captions["annotations"] = {{{"image_id", 1},
                                  {"category_id", 4},
                                  {"area", 100},
                                  {"bbox", {1, 1, 10, 10}},
                                  {"segmentation", {{1, 1, 11, 1, 11, 11, 1, 11}}}}};
      add("coco/annotations/instances_" + split + "2017.json", captions.dump());
    }
    add("table.csv", table);
    add_cifar();
    add_idx();
  }

 private:
  void add(const std::string& name, const std::string& content) const {
    std::filesystem::create_directories((folder_ / name).parent_path());
    std::ofstream(folder_ / name, std::ios::binary) << content;
  }

  void add_cifar() const {
    add("cifar/batches.meta.txt", "airplane\nautomobile\n");
    for (const std::string file :
         {"data_batch_1", "data_batch_2", "data_batch_3", "data_batch_4", "data_batch_5", "test_batch"}) {
      std::string records;
      for (char label = 0; label < 2; ++label)
        records += label + std::string(3072, static_cast<char>(file[11] + 10 * label));
      add("cifar/" + file + ".bin", records);
    }
  }

  void add_idx() const {
    for (const std::string prefix : {"train", "t10k"}) {
      std::vector<uint8_t> pixels;
      for (uint8_t i = 0; i < 5 * 4; ++i) pixels.push_back(static_cast<uint8_t>(i * 7 + prefix[1]));
      add("idx/" + prefix + "-images-idx3-ubyte", idx_bytes(0x803, {5, 2, 2}, pixels));
      add("idx/" + prefix + "-labels-idx1-ubyte", idx_bytes(0x801, {5}, {0, 1, 2, 3, 4}));
    }
  }

  std::filesystem::path folder_;
};

}  // namespace
}  // namespace silc::testing

int main(int count, char** arguments) {
  if (count != 2) {
    std::fputs("make_samples FOLDER\n", stderr);
    return 2;
  }
  std::filesystem::remove_all(arguments[1]);
  silc::testing::Samples(arguments[1]).make();
}
