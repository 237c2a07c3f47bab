#!/usr/bin/env python3
# SPDX-License-Identifier: AGPL-3.0-or-later
"""make.py - writes the small documents of this folder and docs/sample.pdf.

The files are committed: tests need no tool to have them. Run this again only to change them. PDF,
PNG and TIFF are written by hand with the standard library; pages that shall look scanned are text
pages that pdftoppm (package poppler-utils) turned into pixels, with noise and a small shift so that
they are not too clean.
"""
import hashlib
import os
import random
import struct
import subprocess
import sys
import tempfile
import zlib

HERE = os.path.dirname(os.path.abspath(__file__))
DOCS = os.path.join(HERE, "..", "..", "docs")
A4 = (595, 842)


# ---- text for the pages -------------------------------------------------------------------------

PAGES = [
    ("The lighthouse keeper",
     ["Every evening the keeper climbed one hundred and twelve steps and lit the lamp.",
      "Ships far out at sea turned by that light, and none of them knew his name.",
      "In winter the storms shook the tower, but the flame behind the glass stood still."]),
    ("The second winter",
     ["The supply boat came late that year, with flour, oil and a parcel of books.",
      "He read them aloud to the gulls, one chapter every night until the thaw.",
      "When the ice broke he wrote down the number of ships: three hundred and seven."]),
    ("The letter",
     ["A letter arrived in June. It asked whether the lamp could be made brighter.",
      "He polished every prism with a soft cloth and answered: it is as bright as I am.",
      "From that day the captains said that the coast looked closer than before."]),
]
SCAN = ("Inventory of the tower",
        ["Four barrels of lamp oil were delivered on the third of March.",
         "Two spare lenses are kept in the wooden box below the stairs.",
         "The bell rope was replaced and the northern window repaired.",
         "Nothing else is needed before the end of the summer."])

SAMPLE = [
    ("LocalRAG jobs: a sample document",
     ["This file ships with the project. It is what ./dev run processes when it is given no file.",
      "Four of its pages hold real text. The fourth one is a scan: a picture of a page, without any",
      "text in it, so that optical character recognition has something to do.",
      "Sending a document answers at once with a job id. From then on the job lives in PostgreSQL:",
      "it survives a restart of the server, of the workers, and of the whole machine."]),
    ("How a document becomes searchable",
     ["A worker opens the file in a child process that has no network, no files of its own and a",
      "limit on memory. Page after page is read: if a page carries good text, that text is taken,",
      "and if it does not, the page is rendered and read by Tesseract.",
      "Every finished page is stored, so that an interrupted job goes on where it stopped.",
      "At the end the pages are cut into chunks that remember exactly where they came from."]),
    ("What happens when something breaks",
     ["A page that hangs is killed at its deadline and listed as failed; the document goes on.",
      "A worker that dies loses its claim, and another one takes the job over within seconds.",
      "If Redis loses everything, the queue is rebuilt from the database, for Redis only holds hints.",
      "A failure that may pass is tried again with growing pauses; one that cannot pass is not."]),
    None,  # the scan
    ("Where to look next",
     ["The command line shows jobs, workers and documents in a terminal: localrag jobs list,",
      "localrag jobs watch, localrag workers status, localrag documents text.",
      "The interface over HTTP is described by openapi.json, the one over gRPC by reflection.",
      "The file README.md tells how the parts fit together and what is guaranteed."]),
]
SAMPLE_SCAN = ("A page from the archive",
               ["This page was printed, laid on a scanner and saved as a picture.",
                "There is not a single letter of text in this part of the file.",
                "If you can find the word marmalade with a search, then the",
                "optical character recognition has done its work.",
                "The paper was a little crooked and the glass was not clean."])


# ---- PDF by hand --------------------------------------------------------------------------------

class Pdf:
    """Objects in order; reference numbers start at 1."""

    def __init__(self):
        self.objects = []

    def add(self, body):
        self.objects.append(body if isinstance(body, bytes) else body.encode("latin-1"))
        return len(self.objects)

    def stream(self, dictionary, data):
        return self.add(b"<< %s /Length %d >>\nstream\n%s\nendstream"
                        % (dictionary.encode(), len(data), data))

    def write(self, catalog, trailer="", crypt=None):
        out = bytearray(b"%PDF-1.5\n%\xe2\xe3\xcf\xd3\n")
        offsets = []
        for number, body in enumerate(self.objects, 1):
            offsets.append(len(out))
            out += b"%d 0 obj\n%s\nendobj\n" % (number, crypt(number, body) if crypt else body)
        start = len(out)
        out += b"xref\n0 %d\n0000000000 65535 f \n" % (len(self.objects) + 1)
        for offset in offsets:
            out += b"%010d 00000 n \n" % offset
        out += ("trailer\n<< /Size %d /Root %d 0 R %s >>\nstartxref\n%d\n%%%%EOF\n"
                % (len(self.objects) + 1, catalog, trailer, start)).encode("latin-1")
        return bytes(out)


def escape(text):
    return text.replace("\\", r"\\").replace("(", r"\(").replace(")", r"\)")


def text_content(title, lines):
    parts = ["BT /F2 20 Tf 64 760 Td (%s) Tj ET" % escape(title), "BT /F1 12 Tf 64 720 Td 20 TL"]
    parts += ["(%s) Tj T*" % escape(line) for line in lines]
    parts.append("ET")
    return "\n".join(parts).encode("latin-1")


def document(pages, title, crypt_key=None, crypt_dict="", file_id=""):
    """pages: ("text", title, lines) or ("image", width, height, flate-compressed 1-bit rows)."""
    pdf = Pdf()
    catalog = pdf.add("<< /Type /Catalog /Pages 2 0 R >>")
    pdf.add("")  # the page tree, filled below
    regular = pdf.add("<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica /Encoding /WinAnsiEncoding >>")
    bold = pdf.add("<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica-Bold /Encoding /WinAnsiEncoding >>")
    kids = []
    for page in pages:
        if page[0] == "text":
            content = pdf.stream("/Filter /FlateDecode", zlib.compress(text_content(page[1], page[2]), 9))
            resources = "<< /Font << /F1 %d 0 R /F2 %d 0 R >> >>" % (regular, bold)
        else:
            _, width, height, data = page
            image = pdf.stream("/Type /XObject /Subtype /Image /Width %d /Height %d /BitsPerComponent 1 "
                               "/ColorSpace /DeviceGray /Filter /FlateDecode /DecodeParms << /Predictor 15 "
                               "/Columns %d /BitsPerComponent 1 /Colors 1 >>" % (width, height, width), data)
            content = pdf.stream("", b"q %d 0 0 %d 0 0 cm /Im0 Do Q" % A4)
            resources = "<< /XObject << /Im0 %d 0 R >> >>" % image
        kids.append(pdf.add("<< /Type /Page /Parent 2 0 R /MediaBox [0 0 %d %d] /Contents %d 0 R "
                            "/Resources %s >>" % (*A4, content, resources)))
    pdf.objects[1] = ("<< /Type /Pages /Count %d /Kids [%s] >>"
                      % (len(kids), " ".join("%d 0 R" % kid for kid in kids))).encode()
    if crypt_key:
        encrypt = pdf.add(crypt_dict)

        def crypt(number, body):
            head, mark, rest = body.partition(b"\nstream\n")
            if not mark:
                return body
            data = rest[:-len(b"\nendstream")]
            key = hashlib.md5(crypt_key + struct.pack("<I", number)[:3] + b"\0\0").digest()[:16]
            return head + mark + rc4(key, data) + b"\nendstream"

        return pdf.write(catalog, "/Encrypt %d 0 R /ID [<%s> <%s>]" % (encrypt, file_id, file_id), crypt)
    info = pdf.add("<< /Title (%s) /Producer (tests/data/make.py) >>" % escape(title))
    return pdf.write(catalog, "/Info %d 0 R" % info)


# ---- the standard security handler, revision 3 (RC4, 128 bits): enough to be asked for a password ----

PAD = bytes.fromhex("28BF4E5E4E758A4164004E56FFFA01082E2E00B6D0683E802F0CA9FE6453697A")


def rc4(key, data):
    state, j, out = list(range(256)), 0, bytearray()
    for i in range(256):
        j = (j + state[i] + key[i % len(key)]) % 256
        state[i], state[j] = state[j], state[i]
    i = j = 0
    for byte in data:
        i = (i + 1) % 256
        j = (j + state[i]) % 256
        state[i], state[j] = state[j], state[i]
        out.append(byte ^ state[(state[i] + state[j]) % 256])
    return bytes(out)


def rc4_20(key, data):
    for i in range(20):
        data = rc4(bytes(b ^ i for b in key), data)
    return data


def encrypted(pages, user, owner):
    file_id = hashlib.md5(user + owner).digest()
    permissions = struct.pack("<i", -4)
    key = (owner + PAD)[:32]
    for _ in range(51):
        key = hashlib.md5(key).digest()
    o = rc4_20(key, (user + PAD)[:32])
    key = (user + PAD)[:32] + o + permissions + file_id
    for _ in range(51):
        key = hashlib.md5(key[:16] if _ else key).digest()
    u = rc4_20(key, hashlib.md5(PAD + file_id).digest()) + b"\0" * 16
    dictionary = ("<< /Filter /Standard /V 2 /R 3 /Length 128 /P -4 /O <%s> /U <%s> >>" % (o.hex(), u.hex()))
    return document(pages, "", key, dictionary, file_id.hex())


# ---- pixels -------------------------------------------------------------------------------------

def render(title, lines, dpi, seed, noise):
    """A text page as rows of 0/1 (1 is white), moved a little and with specks."""
    with tempfile.TemporaryDirectory() as folder:
        source = os.path.join(folder, "page.pdf")
        with open(source, "wb") as f:
            f.write(document([("text", title, lines)], title))
        subprocess.run(["pdftoppm", "-mono", "-r", str(dpi), "-singlefile", source, source], check=True)
        with open(source + ".pbm", "rb") as f:
            assert f.readline().strip() == b"P4"
            width, height = map(int, f.readline().split())
            data = f.read()
    row = (width + 7) // 8
    dice = random.Random(seed)
    pixels = [bytearray(b ^ 0xFF for b in data[y * row:(y + 1) * row]) for y in range(height)]
    for _ in range(int(width * height * noise)):
        x, y = dice.randrange(width), dice.randrange(height)
        pixels[y][x // 8] ^= 0x80 >> (x % 8)
    return width, height, pixels


def png_rows(pixels):
    """Rows with filter type 2 (up), which is also PDF's predictor 15."""
    out, above = bytearray(), bytes(len(pixels[0]))
    for row in pixels:
        out.append(2)
        out += bytes((b - a) & 0xFF for b, a in zip(row, above))
        above = row
    return zlib.compress(bytes(out), 9)


def image_page(title, lines, dpi=200, seed=1, noise=0.0003):
    width, height, pixels = render(title, lines, dpi, seed, noise)
    return ("image", width, height, png_rows(pixels))


def png(width, height, pixels, dpi):
    def chunk(kind, data):
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    metre = round(dpi / 0.0254)
    return (b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 1, 0, 0, 0, 0))
            + chunk(b"pHYs", struct.pack(">IIB", metre, metre, 1))
            + chunk(b"IDAT", png_rows(pixels)) + chunk(b"IEND", b""))


def tiff(frames, dpi):
    """Little-endian TIFF, one strip a page, Deflate; frames: (width, height, pixels)."""
    out = bytearray(b"II*\0\0\0\0\0")
    link = 4
    for width, height, pixels in frames:
        strip = zlib.compress(b"".join(bytes(row) for row in pixels), 9)
        strip_at = len(out)
        out += strip + b"\0" * (len(strip) % 2)
        ratio_at = len(out)
        out += struct.pack("<II", dpi, 1)
        tags = [(256, 4, 1, width), (257, 4, 1, height), (258, 3, 1, 1), (259, 3, 1, 8), (262, 3, 1, 1),
                (273, 4, 1, strip_at), (277, 3, 1, 1), (278, 4, 1, height), (279, 4, 1, len(strip)),
                (282, 5, 1, ratio_at), (283, 5, 1, ratio_at), (296, 3, 1, 2)]
        struct.pack_into("<I", out, link, len(out))
        out += struct.pack("<H", len(tags))
        for tag in tags:
            out += struct.pack("<HHII", *tag)
        link = len(out)
        out += b"\0\0\0\0"
    return bytes(out)


def jpeg(title, lines, dpi):
    with tempfile.TemporaryDirectory() as folder:
        source = os.path.join(folder, "page.pdf")
        with open(source, "wb") as f:
            f.write(document([("text", title, lines)], title))
        subprocess.run(["pdftoppm", "-jpeg", "-gray", "-jpegopt", "quality=60", "-r", str(dpi), "-singlefile",
                        source, source], check=True)
        with open(source + ".jpg", "rb") as f:
            return f.read()


# ---- documents that mean harm -------------------------------------------------------------------

def flate_bomb(filler, megabytes):
    """So much of one byte as a zlib stream: a deflate block that ends at a byte, repeated. Nothing
    that large is ever in memory, and what nobody unpacks to its end needs no checksum."""
    deflate = zlib.compressobj(9, zlib.DEFLATED, -15)
    block = deflate.compress(filler * 2 ** 20) + deflate.flush(zlib.Z_FULL_FLUSH)
    return b"\x78\xda" + block * megabytes


def bomb_stream(pdf, dictionary, filler, megabytes):
    data = zlib.compress(zlib.compress(flate_bomb(filler, megabytes), 9), 9)
    return pdf.stream("/Filter [/FlateDecode /FlateDecode /FlateDecode] " + dictionary, data)


def trap(second, box=A4):
    """Three pages; the second one is what second(pdf) makes: (content, entries of its resources)."""
    pdf = Pdf()
    catalog = pdf.add("<< /Type /Catalog /Pages 2 0 R >>")
    pdf.add("")
    fonts = "".join("/F%d %d 0 R " % (i + 1, pdf.add("<< /Type /Font /Subtype /Type1 /BaseFont /%s >>" % name))
                    for i, name in enumerate(("Helvetica", "Helvetica-Bold")))
    kids = []
    for page in (PAGES[0], None, PAGES[2]):
        content, more, size = (*second(pdf), box) if not page else (pdf.stream("", text_content(*page)), "", A4)
        kids.append(pdf.add("<< /Type /Page /Parent 2 0 R /MediaBox [0 0 %d %d] /Contents %d 0 R "
                            "/Resources << /Font << %s>> %s >> >>" % (*size, content, fonts, more)))
    pdf.objects[1] = ("<< /Type /Pages /Count 3 /Kids [%s] >>"
                      % " ".join("%d 0 R" % kid for kid in kids)).encode()
    return pdf.write(catalog)


def nested_forms(pdf):
    """Twelve forms, each of which draws the next one ten times."""
    inner = pdf.stream("/Type /XObject /Subtype /Form /BBox [0 0 9 9]", b"0 0 1 1 re f")
    for _ in range(12):
        inner = pdf.stream("/Type /XObject /Subtype /Form /BBox [0 0 9 9] /Resources << /XObject "
                           "<< /X %d 0 R >> >>" % inner, b"/X Do " * 10)
    return pdf.stream("", b"/X Do"), "/XObject << /X %d 0 R >>" % inner


def pixel_bomb(pdf):
    image = bomb_stream(pdf, "/Type /XObject /Subtype /Image /Width 60000 /Height 60000 "
                        "/BitsPerComponent 8 /ColorSpace /DeviceGray", b"\x7f", 3434)
    return pdf.stream("", b"q 595 0 0 842 0 0 cm /X Do Q"), "/XObject << /X %d 0 R >>" % image


def tree(kids, count):
    """One page of text under a page tree that says what it likes."""
    pdf = Pdf()
    catalog = pdf.add("<< /Type /Catalog /Pages 2 0 R >>")
    pdf.add("<< /Type /Pages /Count %d /Kids [%s] >>" % (count, kids))
    pdf.add("<< /Type /Page /Parent 2 0 R /MediaBox [0 0 595 842] /Contents 5 0 R /Resources << /Font "
            "<< /F1 4 0 R /F2 4 0 R >> >> >>")
    pdf.add("<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica >>")
    pdf.stream("", text_content(*PAGES[0]))
    return pdf.write(catalog)


def absurd_png(width, height):
    def chunk(kind, data):
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    return (b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 6, 0, 0, 0))
            + chunk(b"IDAT", zlib.compress(bytes(1000))) + chunk(b"IEND", b""))


# Rows of 220 megabytes, two of which are kept.
ROWS = "/DecodeParms [null null << /Predictor 15 /Columns 220000000 /Colors 1 /BitsPerComponent 8 >>]"


def hostile(save_as, scan):
    save_as("hostile_spaces.pdf", trap(lambda pdf: (bomb_stream(pdf, "", b" ", 16384), "")))
    save_as("hostile_memory.pdf", trap(lambda pdf: (bomb_stream(pdf, ROWS, b" ", 16384), "")))
    save_as("hostile_forms.pdf", trap(nested_forms))
    save_as("hostile_pixels.pdf", trap(pixel_bomb))
    save_as("hostile_size.pdf", trap(lambda pdf: (pdf.stream("", text_content(*PAGES[1])), ""),
                                     (10 ** 9, 10 ** 9)))
    save_as("hostile_count.pdf", tree("3 0 R", 2 * 10 ** 9))
    save_as("hostile_cycle.pdf", tree("3 0 R 2 0 R 2 0 R", 3))
    save_as("hostile.png", absurd_png(60000, 60000))
    _, width, height, data = scan
    pdf = Pdf()
    catalog = pdf.add("<< /Type /Catalog /Pages 2 0 R >>")
    pdf.add("<< /Type /Pages /Count 8 /Kids [%s] >>" % " ".join("%d 0 R" % kid for kid in range(5, 13)))
    image = pdf.stream("/Type /XObject /Subtype /Image /Width %d /Height %d /BitsPerComponent 1 "
                       "/ColorSpace /DeviceGray /Filter /FlateDecode /DecodeParms << /Predictor 15 "
                       "/Columns %d /BitsPerComponent 1 /Colors 1 >>" % (width, height, width), data)
    content = pdf.stream("", b"q %d 0 0 %d 0 0 cm /Im0 Do Q" % A4)
    for _ in range(8):
        pdf.add("<< /Type /Page /Parent 2 0 R /MediaBox [0 0 %d %d] /Contents %d 0 R /Resources "
                "<< /XObject << /Im0 %d 0 R >> >> >>" % (*A4, content, image))
    save_as("scans.pdf", pdf.write(catalog))  # not hostile: work for some seconds


# ---- the files ----------------------------------------------------------------------------------

def save(name, data):
    with open(name, "wb") as f:
        f.write(data)
    print("%8d  %s" % (len(data), os.path.relpath(name)))


def main():
    def here(name):
        return os.path.join(HERE, name)

    text = [("text", *page) for page in PAGES]
    scan = image_page(*SCAN)
    text_pdf = document(text, "The lighthouse keeper")
    save(here("text.pdf"), text_pdf)
    save(here("scan.pdf"), document([scan], "Inventory"))
    save(here("mixed.pdf"), document([text[0], scan, text[1]], "Text and a scan"))
    save(here("blank.pdf"), document([("text", "", [])], "A page with nothing on it"))
    save(here("encrypted.pdf"), encrypted(text, b"marmalade", b"owner"))  # password: marmalade
    save(here("truncated.pdf"), text_pdf[:len(text_pdf) * 6 // 10])
    save(here("random.pdf"), b"%PDF-1.4\n" + random.Random(4).randbytes(3000))
    save(here("empty.pdf"), b"")
    width, height, pixels = render(*SCAN, 150, 2, 0.0002)
    save(here("page.png"), png(width, height, pixels, 150))
    save(here("page.jpg"), jpeg(*SCAN, 110))
    save(here("pages.tiff"), tiff([(width, height, pixels), render(*PAGES[1], 150, 3, 0.0002)], 150))
    save(here("utf8.txt"), "Grüße aus dem Leuchtturm\n\nDie Fähre fährt täglich um 7 Uhr. Ça coûte 3 €.\n"
                           "Маяк виден издалека. 灯台守は本を読む。\n".encode())
    save(here("latin1.txt"), "Grüße aus dem Leuchtturm.\nÇa coûte très peu.\n".encode("latin-1"))
    save(here("fake.pdf"), b"MZ\x90\0\3\0\0\0" + bytes(500))  # a program with the name of a document
    hostile(lambda name, data: save(here(name), data), scan)
    sample = [("text", *page) if page else image_page(*SAMPLE_SCAN, dpi=200, seed=5) for page in SAMPLE]
    save(os.path.join(DOCS, "sample.pdf"), document(sample, "LocalRAG jobs: a sample document"))


if __name__ == "__main__":
    sys.exit(main())
