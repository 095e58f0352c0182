#include <algorithm>
#include <csetjmp>
#include <cstddef>
#include <cstdio>
#include <cstring>
// After <cstdio>, whose FILE they use.
#include <jpeglib.h>

#include <jerror.h>

#include "pictures/codecs.h"
#include "pictures/exif.h"
#include "silc/error.h"

namespace silc {
namespace {

// A progressive file may hold any number of scans, each of which costs as much as decoding a picture.
constexpr int kMostScans = 200;

// libjpeg's way out of an error is a jump. What is jumped over must own nothing.
struct Escape {
  jpeg_error_mgr manager;
  jpeg_progress_mgr progress;
  std::jmp_buf place;
  char message[JMSG_LENGTH_MAX];
};

Escape& escape_of(j_common_ptr info) { return *reinterpret_cast<Escape*>(info->err); }

[[noreturn]] void leave(j_common_ptr info) {
  Escape& escape = escape_of(info);
  escape.manager.format_message(info, escape.message);
  std::longjmp(escape.place, 1);
}

// Warnings that stand for pixels which are not those of the picture. The others are about what surrounds them.
void leave_damaged(j_common_ptr info, int level) {
  if (level >= 0) return;
  const int code = info->err->msg_code;
  if (code == JWRN_JPEG_EOF || code == JWRN_HIT_MARKER || code == JWRN_HUFF_BAD_CODE || code == JWRN_MUST_RESYNC ||
      code == JWRN_BOGUS_PROGRESSION || code == JWRN_ARITH_BAD_CODE)
    leave(info);
}

void leave_endless(j_common_ptr info) {
  if (reinterpret_cast<j_decompress_ptr>(info)->input_scan_number <= kMostScans) return;
  Escape& escape = escape_of(info);
  std::snprintf(escape.message, sizeof escape.message, "more than %d scans", kMostScans);
  std::longjmp(escape.place, 1);
}

// Of its own, so that it is freed when a constructor throws, too.
struct Info : jpeg_decompress_struct {
  Info() : jpeg_decompress_struct{} {}
  ~Info() { jpeg_destroy_decompress(this); }
  Info(const Info&) = delete;
  Info& operator=(const Info&) = delete;
};

class Decoder {
 public:
  explicit Decoder(Bytes file) {
    info_.err = jpeg_std_error(&escape_.manager);
    escape_.manager.error_exit = leave;
    escape_.manager.emit_message = leave_damaged;
    escape_.progress = {};
    escape_.progress.progress_monitor = leave_endless;
    guarded([&] {
      jpeg_create_decompress(&info_);
      info_.progress = &escape_.progress;
      jpeg_mem_src(&info_, file.data(), file.size());
      jpeg_save_markers(&info_, JPEG_APP0 + 1, 0xFFFF);  // EXIF
      jpeg_read_header(&info_, TRUE);
    });
    check_size(info_.image_width, info_.image_height);
  }
  Decoder(const Decoder&) = delete;
  Decoder& operator=(const Decoder&) = delete;

  [[nodiscard]] Header header() const {
    Header header{.width = info_.image_width, .height = info_.image_height};
    for (const jpeg_marker_struct* marker = info_.marker_list; marker != nullptr; marker = marker->next) {
      constexpr std::size_t kPrefix = 6;  // "Exif", two zeros
      if (marker->data_length < kPrefix || std::memcmp(marker->data, "Exif\0\0", kPrefix) != 0) continue;
      header.orientation = exif_orientation({marker->data + kPrefix, marker->data_length - kPrefix});
      break;
    }
    return header;
  }

  PicturePart decode(const Region& region, int64_t reduction) {
    // libjpeg makes up for coarse chroma where it is as coarse in both directions, and blurs it further where not.
    const jpeg_component_info& luma = info_.comp_info[0];
    if (luma.h_samp_factor != luma.v_samp_factor) reduction = 1;
    PicturePart part;
    part.reduction = reduction;
    const bool inks = info_.jpeg_color_space == JCS_CMYK || info_.jpeg_color_space == JCS_YCCK;
    JDIMENSION left = 0, width = 0, top = 0, height = 0;
    guarded([&] {
      info_.scale_num = static_cast<unsigned>(8 / reduction);
      info_.scale_denom = 8;
      info_.out_color_space = inks ? JCS_CMYK : JCS_RGB;
      jpeg_start_decompress(&info_);
      // Chroma is interpolated between neighbours, so the outermost blocks of a part would not be those of the whole.
      const auto unit = static_cast<int64_t>(info_.max_h_samp_factor * DCTSIZE);
      const auto pixels = [&](int64_t at) { return static_cast<JDIMENSION>(at / reduction); };
      left = pixels(std::max<int64_t>(region.x - unit, 0));
      width = std::min(pixels(region.x + region.width + unit + reduction - 1), info_.output_width) - left;
      jpeg_crop_scanline(&info_, &left, &width);
      top = pixels(region.y);
      height = std::min(pixels(region.y + region.height + reduction - 1), info_.output_height) - top;
    });
    const std::size_t row_length = std::size_t{width} * static_cast<std::size_t>(info_.output_components);
    std::vector<uint8_t> samples(row_length * height);
    guarded([&] {
      if (top > 0) jpeg_skip_scanlines(&info_, top);
      for (JDIMENSION y = 0; y < height; ++y) {
        JSAMPROW row = samples.data() + y * row_length;
        jpeg_read_scanlines(&info_, &row, 1);
      }
    });
    part.x = static_cast<int64_t>(left) * reduction;
    part.y = static_cast<int64_t>(top) * reduction;
    part.pixels.width = width;
    part.pixels.height = height;
    part.pixels.rgb = inks ? to_rgb(samples) : std::move(samples);
    return part;
  }

 private:
  // As Pillow: Adobe's programs write inks inverted, and nobody else writes CMYK.
  static std::vector<uint8_t> to_rgb(const std::vector<uint8_t>& inks) {
    std::vector<uint8_t> rgb;
    rgb.reserve(inks.size() / 4 * 3);
    for (std::size_t i = 0; i < inks.size(); i += 4) {
      const int white = inks[i + 3];
      for (std::size_t c = 0; c < 3; ++c) {
        const int product = (255 - inks[i + c]) * white + 128;
        rgb.push_back(static_cast<uint8_t>(white - (((product >> 8) + product) >> 8)));
      }
    }
    return rgb;
  }

  template <class Work>
  void guarded(Work work) {
    if (setjmp(escape_.place) == 0) {
      work();
      return;
    }
    throw Error(std::string("is cut short or damaged (") + escape_.message + ")");
  }

  Escape escape_;
  Info info_;
};

}  // namespace

Header read_jpeg_header(Bytes file) { return Decoder(file).header(); }

PicturePart decode_jpeg(Bytes file, const Region& region, int64_t reduction) {
  return Decoder(file).decode(region, reduction);
}

}  // namespace silc
