"""Make the sample data: film reviews, handwritten digits and drawn shapes.

Usage: `python sample_data/make.py [DEST]`, where DEST is this script's own folder unless given. Everything comes
from one fixed seed (NumPy's Philox, a stream of its own for each part), so the same versions of NumPy, Pillow and
scikit-learn make the same bytes. README.md says what each part is for.
"""

import argparse
import csv
import re
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw
from sklearn.datasets import load_digits

SEED = 20240607
TRAIN_REVIEWS, TEST_REVIEWS = 3000, 1000
POSITIVE_SHARE = 0.52
LABEL_NOISE = 0.04  # keeps the best possible accuracy at 96 %, as real labels do
TYPO_RATE = 0.07  # of the words of four letters or more: 3 % of all
KINDS = (0.62, 0.93)  # of opinions: 62 % simple, 31 % negated, the rest mixed
OPINIONS = (0.05, 0.4)  # of reviews: 5 % hold one opinion, 35 % two, the rest three
NEUTRAL = (0.45, 0.85)  # of reviews: 45 % hold no neutral sentence, 40 % one, the rest two
MIN_WORDS, MAX_WORDS, MAX_SENTENCES = 8, 40, 4
DIGITS_PER_CLASS, SHAPES_PER_CLASS = 100, 60
SHAPE_SIZE = 48  # pixels
SHAPES = {"circle": 0, "square": 4, "triangle": 3}  # corners; 0 is round

# The grammar. `{name}` is replaced by one of the name's phrases. `{+name}` keeps the verdict that is being spoken,
# `{-name}` turns it round; so "{part} was {not} {-adjective}" praises with a word of blame and blames with a word of
# praise, and a model that counts single words cannot tell which. Each word of POLAR is (blame, praise).
POLAR: dict[str, tuple[str, str]] = {
    "adjective": (
        "bad|boring|dull|awful|predictable|terrible|weak|tedious|clumsy|flat|dreadful|forgettable|lifeless|silly|messy|"
        "bland|shallow|disappointing|lazy|tiresome|stale|sloppy|hollow|laboured|muddled|pointless|crude|dreary",
        "good|great|funny|brilliant|moving|gripping|wonderful|clever|superb|memorable|charming|convincing|original|"
        "touching|fresh|witty|thrilling|delightful|elegant|impressive|engaging|inspired|subtle|graceful|rich|haunting",
    ),
    "noun": (
        "disaster|mess|bore|failure|chore|flop|train wreck|waste of time|shambles|headache",
        "masterpiece|triumph|gem|treat|classic|delight|work of art|success|revelation|joy",
    ),
    "felt": (
        "bored|annoyed|let down|cheated|tired|restless|embarrassed|irritated",
        "moved|surprised|amused|thrilled|charmed|entertained|touched|impressed",
    ),
    "did": (
        "hated it|regretted every minute|walked out early|fell asleep|wanted my money back|disliked it|lost interest",
        "loved it|enjoyed every minute|stayed until the last credit|laughed a lot|wanted to see it again|liked it|"
        "came out smiling",
    ),
    "advice": (
        "avoid it|save your money|stay at home|do not bother|give it a miss|you can skip it",
        "go and see it|buy a ticket|take your friends|do not miss it|give it a chance|you should see it",
    ),
}
PLAIN: dict[str, str] = {
    "part": "the acting|the plot|the script|the ending|the film|the dialogue|the story|the music|the direction|"
    "the camera work|the editing|the first half|the second half|the romance|the opening|the whole thing|the humour|"
    "the villain|the last act|the mystery|the pacing|the final scene|the sound|the lead performance",
    "film": "film|movie|picture|comedy|drama|thriller|story|debut|sequel|remake|adventure",
    "not": "not|far from|never|hardly|anything but|by no means|not at all|not exactly",
    "no": "not a|no|far from a|hardly a|anything but a",
    "very": "very|really|quite|truly|rather|so|simply|surprisingly",
    "yet": "yet|but|and still|but in the end|but somehow|and yet",
    "although": "although|even though|while|though",
    "critics": "the critics|my friends|the reviews|the trailer|people at work|my sister|the man next to me|everyone",
    # What can be said of a film, as it is ...
    "straight": "{part} was {+adjective}|{part} was {very} {+adjective}|i was {very} {+felt}|it was a {+noun}|"
    "i found {part} {+adjective}|it is a {+adjective} {film}|{part} is {+adjective} and {part} is {+adjective}|"
    "i was {+felt}|it turned out {+adjective}|it is {+adjective} from start to finish|it left me {+felt}",
    # ... and by way of its opposite, where the order of words decides.
    "turned": "{part} was {not} {-adjective}|{part} was {not} {-adjective}|it is {not} {-adjective}|"
    "it was {no} {-noun}|i was {not} {-felt}|i found {part} {not} {-adjective}|{part} was not {-adjective} at all|"
    "i was never {-felt}|it is {no} {-adjective} {film}|{part} could have been {-adjective}|"
    "it could easily have been {-adjective}|i was {not} {-felt} by {part}|{part} is everything but {-adjective}|"
    "not {-adjective} is all that i can say",
    # Sentences that carry the verdict.
    "simple": "{+straight}|{+straight} and {part} was {+adjective}|what a {+adjective} {film}|in short, a {+noun}|"
    "{+straight}, so {+advice}|a {+adjective} {film} about {hero}|{+straight} and i {+did}|"
    "{+advice}, because {+straight}|a {+adjective} and {+adjective} {film}|i {+did}",
    "negated": "{+turned}|{+turned}|to be fair, {+turned}|for me {+turned}|i must say that {+turned}|"
    "{+turned}, so {+advice}|{+turned}, and i {+did}|{+turned}, and {+turned}|not {-adjective}, and never {-adjective}|"
    "{critics} said it was {-adjective}, {yet} {+turned}|{+turned} and {part} is {+adjective}",
    "mixed": "{-straight}, {yet} {+turned}|{although} {-straight}, i {+did}|i expected a {-noun} but {+did}|"
    "{critics} promised a {-noun}, {yet} {+turned}|{although} {part} was {-adjective}, i {+did}|"
    "it looked {-adjective} at first, {yet} i {+did}|instead of a {-noun} we got a {+noun}|"
    "{critics} called it {-adjective}, {yet} i {+did}|a {-adjective} yet {+adjective} {film}",
    # Sentences that carry none.
    "neutral": "it follows {hero} who {deed} in {place}|{name} plays {hero} who {deed}|i saw it {when} with {company}|"
    'the story is set in {place}, where {hero} {deed}|"{title}" is a {film} about {hero}|'
    'it runs for {minutes} minutes|{name} wrote it and {name} directed it|i watched "{title}" {when}|'
    "{hero} meets {hero} in {place}|{company} came along {when}|this is the {ordinal} {film} by {name}|"
    "in one scene {hero} {deed}|it was shot in {place}, with {name} as {hero}|"
    '{name}, known from "{title}", plays {hero}|most of it takes place in {place}',
    "hero": "a retired sailor|a young teacher|a naïve painter|a nurse|a travelling salesman|a taxi driver|a judge|"
    "a lonely baker|a piano tuner|a bank clerk|a widowed farmer|a detective|a chess champion|an old actress|a spy|"
    "a lighthouse keeper|a café owner|a girl from the north|a blind watchmaker|a jealous fiancée|a stray dog|a robot",
    "deed": "finds a locked suitcase|opens a restaurant|loses a letter|steals a painting|has to cross the border|"
    "searches for a missing twin|moves into an empty house|learns to dance|plans a robbery|inherits a circus|"
    "hides from the police|builds a boat|writes to a stranger|misses the last train|buries a secret|wins the lottery",
    "place": "a small harbour town|Lisbon|a café in Paris|the desert|a snowed-in hotel|the suburbs|a railway station|"
    "Prague|the Scottish islands|an abandoned factory|a seaside village|São Paulo|a boarding school|a ruined castle|"
    "a prison|the old docks|a tiny flat|Kraków|a hospital|the mountains",
    "when": "on a rainy Sunday|last night|at a festival|on the plane|on Friday|in a half-empty cinema|on television|"
    "after work|at the weekend|in the summer|over the holidays|two days ago|yesterday",
    "company": "my brother|my wife|two friends|my parents|the children|a colleague|my neighbour|our film club|my aunt",
    "name": "Marta Lindqvist|Owen Tallis|Zoë Harker|Ravi Menon|Ines Calder|Tom Ashby|Lena Brandt|José Rivas|Hana Mori|"
    "Ada Winslow|Kofi Asante|Peter Voss|Clara Dunne|Émile Garnier|Nadia Farouk|Hugh Penrose",
    "title": "The {colour} {thing}|{colour} {thing}|The {thing} and the {thing}|The Last {thing}|One {colour} {thing}",
    "colour": "Silent|Glass|Crimson|Winter|Paper|Hidden|Golden|Broken|Second|Distant|Iron|Midnight",
    "thing": "Harbour|Garden|Letter|Bridge|Orchard|Mirror|Island|Summer|Clock|Witness|River|Violin|Staircase|Map",
    "minutes": "eighty|ninety|ninety-five|a hundred|a hundred and ten|a hundred and twenty|a hundred and forty",
    "ordinal": "first|second|third|fourth|fifth|sixth|latest",
}
POLAR_PHRASES = {name: tuple(half.split("|") for half in pair) for name, pair in POLAR.items()}
PLAIN_PHRASES = {name: text.split("|") for name, text in PLAIN.items()}
SKEW = dict.fromkeys(POLAR, 2.6) | {"part": 1.3, "not": 2.4}  # how strongly a list's first phrases are favoured
# Said only once in a review, as a person would:
ONCE = {*POLAR, "part", "hero", "deed", "place", "name", "neutral", "company", "when", "colour", "thing"}
SLOT = re.compile(r"\{([+-]?)(\w+)\}")


def stream(part: int) -> np.random.Generator:
    """Return the random numbers of one part, so that a change to one part leaves the others as they are."""
    return np.random.Generator(np.random.Philox(np.random.SeedSequence(SEED, spawn_key=(part,))))


def pick(rng: np.random.Generator, phrases: Sequence[str], skew: float = 1.0) -> str:
    """Return one phrase; a skew above 1 favours the first ones, as real text favours some words."""
    return phrases[int(len(phrases) * rng.random() ** skew)]


def expand(rng: np.random.Generator, template: str, positive: bool, used: set[str]) -> str:
    """Fill the slots of a template that speaks the given verdict, down to plain words.

    Args:
        rng: Where the choices come from.
        template: Text with `{name}`, `{+name}` and `{-name}` slots.
        positive: The verdict of the template as a whole.
        used: Phrases of ONCE that this review holds already; added to.

    Returns:
        The text without slots, in lower case but for names.
    """

    def fill(slot: re.Match[str]) -> str:
        sign, name = slot.groups()
        verdict = positive != (sign == "-")
        phrases: Sequence[str] = POLAR_PHRASES[name][verdict] if name in POLAR_PHRASES else PLAIN_PHRASES[name]
        phrase = pick(rng, phrases, SKEW.get(name, 1.0))
        while phrase in used:
            phrase = pick(rng, phrases, SKEW.get(name, 1.0))
        if name in ONCE:
            used.add(phrase)
        return expand(rng, phrase, verdict, used)

    return SLOT.sub(fill, template)


def sentence(text: str) -> str:
    """Make a sentence of an expanded template: a/an, the pronoun I, a capital letter, a full stop."""
    text = re.sub(r"\bi\b", "I", re.sub(r"\b([Aa]) (?=[aeiouAEIOU])", r"\1n ", text)) + "."
    return text[0].upper() + text[1:]


def clean_review(rng: np.random.Generator, positive: bool) -> list[str]:
    """Return the one to four sentences of a review of 8 to 40 words, before any noise."""
    while True:
        templates = ["{neutral}"] * int(np.searchsorted(NEUTRAL, rng.random(), side="right"))
        for _ in range(1 + int(np.searchsorted(OPINIONS, rng.random(), side="right"))):
            kind = ("simple", "negated", "mixed")[int(np.searchsorted(KINDS, rng.random(), side="right"))]
            templates.insert(int(rng.random() * (len(templates) + 1)), f"{{+{kind}}}")
        used: set[str] = set()
        sentences = [sentence(expand(rng, template, positive, used)) for template in templates]
        words = len(" ".join(sentences).split())
        if len(sentences) <= MAX_SENTENCES and MIN_WORDS <= words <= MAX_WORDS:
            return sentences


def misspell(rng: np.random.Generator, word: str) -> str:
    """Swap two neighbouring letters inside a word, or drop one."""
    at = 1 + int(rng.random() * (len(word) - 2))
    kept = word[at] if rng.random() < 0.5 else ""
    return word[:at] + word[at + 1] + kept + word[at + 2 :]


def roughen(rng: np.random.Generator, sentences: list[str]) -> str:
    """Join sentences as people type them: typos, capitals, runs of punctuation, HTML line breaks. Knows no label."""
    rough = []
    for text in sentences:
        text = re.sub(r"\b[a-z]{4,}\b", lambda m: misspell(rng, m[0]) if rng.random() < TYPO_RATE else m[0], text)
        if rng.random() < 0.05:  # one word shouted
            words = text.split(" ")
            at = int(rng.random() * len(words))
            words[at] = words[at].upper()
            text = " ".join(words)
        elif rng.random() < 0.02:  # or all of it
            text = text.upper()
        if rng.random() < 0.08:
            text = text[:-1] + pick(rng, ["!!!", "...", "!", "?!", "!!", "...."])
        rough.append(text)
    return pick(rng, ["<br /><br />", "<br />", " <br /><br />"] if rng.random() < 0.08 else [" "]).join(rough)


def make_reviews(folder: Path) -> None:
    """Write reviews.csv and reviews-test.csv: one distribution, no text twice, not even but for its noise."""
    rng = stream(0)
    seen: set[str] = set()
    rows: list[tuple[str, str]] = []
    while len(rows) < TRAIN_REVIEWS + TEST_REVIEWS:
        positive = bool(rng.random() < POSITIVE_SHARE)
        sentences = clean_review(rng, positive)
        text = roughen(rng, sentences)
        flipped = bool(rng.random() < LABEL_NOISE)
        key = " ".join(sentences).lower()
        if key not in seen:
            seen.add(key)
            rows.append((text, "pos" if positive != flipped else "neg"))
    for name, part in (("reviews.csv", rows[:TRAIN_REVIEWS]), ("reviews-test.csv", rows[TRAIN_REVIEWS:])):
        with (folder / name).open("w", encoding="utf-8", newline="") as file:
            writer = csv.writer(file, lineterminator="\n")
            writer.writerow(("text", "label"))
            writer.writerows(part)


def make_digits(folder: Path) -> None:
    """Write digits/{0..9}/NNNN.png, 8x8 gray: the first pictures of each class; NNNN is the row in load_digits."""
    data = load_digits()
    for digit in range(10):
        place = folder / "digits" / str(digit)
        place.mkdir(parents=True, exist_ok=True)
        for row in np.flatnonzero(data.target == digit)[:DIGITS_PER_CLASS]:
            pixels = np.rint(data.images[row] * (255 / 16)).astype(np.uint8)
            Image.fromarray(pixels).save(place / f"{row:04d}.png", optimize=True)


def draw_shape(rng: np.random.Generator, corners: int) -> Image.Image:
    """Draw one shape, whole and rotated, in a colour that stands out from a noisy background."""
    scale = 4  # drawn larger, then shrunk: smooth edges
    while True:
        colour, background = rng.integers(0, 256, size=3), rng.integers(0, 256, size=3)
        if np.abs(colour - background).sum() >= 150:  # of 765: still seen through the noise
            break
    radius = 8 + 10 * rng.random()
    x, y = radius + 1 + (SHAPE_SIZE - 2 * radius - 2) * rng.random(2)
    angles = 2 * np.pi * (rng.random() + np.arange(corners or 64) / (corners or 64))
    outline = [(scale * (x + radius * np.cos(a)), scale * (y + radius * np.sin(a))) for a in angles]
    image = Image.new("RGB", (SHAPE_SIZE * scale,) * 2, tuple(background.tolist()))
    ImageDraw.Draw(image).polygon(outline, fill=tuple(colour.tolist()))
    pixels = np.asarray(image.reduce(scale), dtype=np.float64)
    noisy = pixels + rng.normal(0, 5 + 15 * rng.random(), size=pixels.shape)
    return Image.fromarray(np.clip(np.rint(noisy), 0, 255).astype(np.uint8))


def make_shapes(folder: Path) -> None:
    """Write shapes/{circle,square,triangle}/NNN.jpg, 48x48 RGB."""
    rng = stream(1)
    for name, corners in SHAPES.items():
        place = folder / "shapes" / name
        place.mkdir(parents=True, exist_ok=True)
        for number in range(SHAPES_PER_CLASS):
            draw_shape(rng, corners).save(place / f"{number:03d}.jpg", quality=85)


def main(arguments: Sequence[str] | None = None) -> None:
    """Make all of it."""
    parser = argparse.ArgumentParser(description="Make the sample data, the same each time.")
    parser.add_argument("dest", nargs="?", type=Path, default=Path(__file__).resolve().parent, help="folder to fill")
    dest: Path = parser.parse_args(arguments).dest
    dest.mkdir(parents=True, exist_ok=True)
    make_reviews(dest)
    make_digits(dest)
    make_shapes(dest)


if __name__ == "__main__":
    main()
