"""What goes over networks: mails, MIME, cookies, encodings, signatures, identifiers, a protocol's frames."""

import base64
import binascii
import email.policy
import email.utils
import hashlib
import hmac
import http.cookies
import io
import mimetypes
import quopri
import random
import struct
import uuid
import wave
from email.message import EmailMessage
from email.parser import BytesParser
from http import HTTPStatus

message = EmailMessage(policy=email.policy.SMTP)
message["From"] = "Ännchen Müller <anna@example.org>"
message["To"] = ", ".join(f"user{n}@example.com" for n in range(6))
message["Subject"] = "Grüße — " + "a long subject that has to be folded somewhere " * 2
message["Date"] = email.utils.format_datetime(email.utils.parsedate_to_datetime("Thu, 29 Feb 2024 12:00:00 +0100"))
message["Message-ID"] = "<1@example.org>"
message.set_content("Plain text with ümlauts.\n.dot\n" + "long " * 30)
message.add_alternative("<p>Rich <b>text</b></p>", subtype="html")
message.add_attachment(bytes(range(256)), maintype="application", subtype="octet-stream", filename="é.bin")
message.add_attachment("a,b\n1,2\n", subtype="csv", filename="table.csv")
for number, part in enumerate(message.walk()):
    if part.is_multipart():
        part.set_boundary(f"==boundary{number}==")
data = message.as_bytes()
print(len(data), hashlib.sha256(data).hexdigest(), data[:160])
again = BytesParser(policy=email.policy.default).parsebytes(data)
print(again["from"].addresses[0].display_name, len(again["to"].addresses), again["date"].datetime.isoformat())
print([(part.get_content_type(), part.get_filename(), part["content-transfer-encoding"]) for part in again.walk()])
print([again.get_body(("plain",)).get_content()[:40]], [len(part.get_content()) for part in again.iter_attachments()])
broken = BytesParser(policy=email.policy.default).parsebytes(b"To: <a@b\nContent-Type: multipart/mixed\n\nno parts")
print([type(each).__name__ for each in broken.defects], broken["to"].defects[:1])
blob = random.Random(8).randbytes(257)
for name in ("b16encode", "b32encode", "b64encode", "urlsafe_b64encode", "b85encode", "a85encode", "b32hexencode"):
    encoded = getattr(base64, name)(blob)
    decoded = getattr(base64, name.replace("encode", "decode"))(encoded)
    print(name, len(encoded), encoded[:24], decoded == blob)
for bad in (b"abc", b"ab!d", b"a==="):
    try:
        print(base64.b64decode(bad, validate=True))
    except binascii.Error as error:
        print(error)
print(quopri.encodestring("é = \t\n".encode()), binascii.b2a_uu(b"hello"), binascii.hexlify(b"abcdef", "-", 2))
cookies = http.cookies.SimpleCookie('a=1; b="x y\\054z"; c')
cookies["d"] = "é;"
cookies["d"]["max-age"], cookies["d"]["httponly"] = 60, True
print(cookies.output(sep="|"), mimetypes.guess_type("x.tar.gz"))
print(HTTPStatus(418).phrase, HTTPStatus.NOT_FOUND.is_client_error)
key = b"key" * 20
for name in ("sha1", "sha256", "sha3_512", "blake2b", "md5"):
    mac = hmac.new(key, blob, name)
    print(name, mac.hexdigest()[:32], hmac.compare_digest(mac.digest(), hmac.digest(key, blob, name)))
print(hashlib.blake2s(blob, key=b"k", person=b"p").hexdigest())
tree = [hashlib.blake2b(blob[n : n + 16], digest_size=20).digest() for n in range(0, 256, 16)]
while len(tree) > 1:
    tree = [hashlib.blake2b(a + b, digest_size=20).digest() for a, b in zip(tree[::2], tree[1::2], strict=True)]
print(tree[0].hex(), hashlib.shake_256(blob).hexdigest(12), sorted(hashlib.algorithms_guaranteed)[:5])
print(uuid.uuid5(uuid.NAMESPACE_DNS, "example.org"), uuid.uuid3(uuid.NAMESPACE_URL, "x"), uuid.UUID(int=7).urn)


def frames(payload, size=50, mask=b"\x12\x34\x56\x78"):
    for at in range(0, len(payload), size):
        piece = payload[at : at + size]
        last = at + size >= len(payload)
        head = struct.pack(">BB", (last << 7) | (2 if at == 0 else 0), 0x80 | len(piece))
        yield head + mask + bytes(byte ^ mask[n & 3] for n, byte in enumerate(piece))


def read(stream):
    found = bytearray()
    while head := stream.read(2):
        first, second = head
        mask = stream.read(4)
        piece = stream.read(second & 0x7F)
        found += bytes(byte ^ mask[n & 3] for n, byte in enumerate(piece))
        if first & 0x80:
            break
    return bytes(found)


wire = b"".join(frames(blob))
print(len(wire), zlen := hashlib.md5(wire).hexdigest(), read(io.BytesIO(wire)) == blob, len(zlen))
sound = io.BytesIO()
with wave.open(sound, "wb") as writer:
    writer.setnchannels(2)
    writer.setsampwidth(2)
    writer.setframerate(8000)
    writer.writeframes(b"".join(struct.pack("<hh", n * 97 % 20000 - 10000, -n) for n in range(800)))
sound.seek(0)
with wave.open(sound) as reader:
    print(reader.getparams(), hashlib.sha1(reader.readframes(800)).hexdigest())
