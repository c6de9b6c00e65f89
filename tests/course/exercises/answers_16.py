"""Answers to the exercises of lesson 16: a second right one, and wrong ones with the reason."""

import statistics

from derain_edu.experiments.statistics import interval

# -- 16.1: shared_scenes(train, test) -------------------------------------------------------------


def by_loops(train, test):
    known = []
    for name in train:
        known.append("-".join(name.split("-")[:-2]))
    return {s for s in ("-".join(name.split("-")[:-2]) for name in test) if s in known}


def scenes_of(names):
    return {name.rsplit("-", 2)[0] for name in names}


def same_files(train, test):
    return set(train) & set(test)


def first_part(train, test):
    return {n.split("-")[0] for n in train} & {n.split("-")[0] for n in test}


def scene_and_rain(train, test):
    return {n.rsplit("-", 1)[0] for n in train} & {n.rsplit("-", 1)[0] for n in test}


def file_names(train, test):
    return [n for n in test if n.rsplit("-", 2)[0] in scenes_of(train)]


def all_scenes(train, test):
    return scenes_of(train) | scenes_of(test)


def of_the_test(train, test):
    return scenes_of(test)


def parts_of_names(train, test):
    return {s for s in scenes_of(train) if any(s in name for name in test)}


def several_times(train, test):
    return [n.rsplit("-", 2)[0] for n in train if n.rsplit("-", 2)[0] in scenes_of(test)]


def unpacks_three(train, test):
    scenes = []
    for name in train:
        scene, rain, number = name.split("-")
        scenes.append(scene)
    return scenes


def list_and_list(train, test):
    return [n.rsplit("-", 2)[0] for n in train] & [n.rsplit("-", 2)[0] for n in test]


def yes_or_no(train, test):
    return bool(scenes_of(train) & scenes_of(test))


# -- 16.2: next_step(gains, margin) ---------------------------------------------------------------


def by_the_sign(gains, margin):
    if len(gains) > 1:
        half = T[len(gains)] * statistics.stdev(gains) / len(gains) ** 0.5
        mean = statistics.fmean(gains)
        if abs(mean) + half < margin:
            return "too small"
        if abs(mean) > half:
            return "keep" if mean > 0 else "drop"
    return "more seeds"


T = {2: 12.706, 3: 4.303, 4: 3.182}


def ends(gains):
    mean, half = interval(gains)
    return mean - half, mean + half


def one_is_enough(gains, margin):
    low, high = ends(gains)
    if max(-low, high) < margin:
        return "too small"
    return "keep" if low > 0 else "drop" if high < 0 else "more seeds"


def sign_first(gains, margin):
    if len(gains) < 2:
        return "more seeds"
    low, high = ends(gains)
    if low > 0:
        return "keep"
    return "drop" if high < 0 else one_is_enough(gains, margin)


def without_margin(gains, margin):
    return sign_first(gains, 0)


def the_mean_is_small(gains, margin):
    if len(gains) > 1 and abs(statistics.fmean(gains)) < margin:
        return "too small"
    return by_the_sign(gains, margin)


def mean_decides(gains, margin):
    if len(gains) < 2:
        return "more seeds"
    mean = statistics.fmean(gains)
    return "too small" if abs(mean) < margin else "keep" if mean > 0 else "drop"


def cannot_tell_is_equal(gains, margin):
    if len(gains) < 2:
        return "more seeds"
    low, high = ends(gains)
    return "keep" if low > margin else "drop" if high < -margin else "too small"


def beyond_the_margin(gains, margin):
    if len(gains) > 1 and 0 < ends(gains)[0] < margin < ends(gains)[1]:
        return "more seeds"
    return by_the_sign(gains, margin)


def upper_end_only(gains, margin):
    if len(gains) > 1 and ends(gains)[1] < margin:
        return "too small"
    return by_the_sign(gains, margin)


def turned_round(gains, margin):
    swapped = {"keep": "drop", "drop": "keep"}
    return swapped.get(by_the_sign(gains, margin), by_the_sign(gains, margin))


def yes_or_no_step(gains, margin):
    return ends(gains)[0] > 0


def no_last_return(gains, margin):
    found = by_the_sign(gains, margin)
    return found if found != "more seeds" else None


def three_numbers(gains, margin):
    mean, low, high = interval(gains)
    return "keep" if low > 0 else "drop"


# -- 16.3: hand_over(networks, validation, test) --------------------------------------------------


def by_a_loop(networks, validation, test):
    best, highest = None, -float("inf")
    for name in networks:
        score = validation(name)
        if score > highest:
            best, highest = name, score
    return [best, test(best), 1]


def best_on_test(networks, validation, test):
    scores = {name: test(name) for name in networks}
    best = max(scores, key=scores.get)
    return best, scores[best], len(networks)


def tests_all_reports_one(networks, validation, test):
    scores = {name: test(name) for name in networks}
    best = max(networks, key=validation)
    return best, scores[best], 1


def tests_twice(networks, validation, test):
    best = max(networks, key=validation)
    print(f"{best} has {test(best)} dB")
    return best, test(best), 2


def never_tests(networks, validation, test):
    best = max(networks, key=validation)
    return best, validation(best), 0


def reports_validation(networks, validation, test):
    best = max(networks, key=validation)
    test(best)
    return best, validation(best), 1


def tests_the_first(networks, validation, test):
    return networks[0], test(networks[0]), 1


def takes_the_worst(networks, validation, test):
    worst = min(networks, key=validation)
    return worst, test(worst), 1


def counts_validation(networks, validation, test):
    best = max(networks, key=validation)
    return best, test(best), len(networks)


def gives_a_score_to_test(networks, validation, test):
    best = max(validation(name) for name in networks)
    return best, test(best), 1


def gives_a_list(networks, validation, test):
    return max(validation(networks)), 0, 1


def name_and_score(networks, validation, test):
    best = max(networks, key=validation)
    return best, test(best)


ANSWERS = {
    "16.1": {
        "second": by_loops,
        "wrong": [
            (same_files, "you found none: no file is in both lists"),
            (first_part, "may hold a hyphen, such as old-town"),
            (scene_and_rain, "scene and rain together|you found none"),
            (file_names, "give the scenes, not the names of files"),
            (all_scenes, "these are all scenes"),
            (of_the_test, "scenes of one list"),
            (parts_of_names, "compare whole names"),
            (several_times, "return each scene once"),
            (unpacks_three, r"cut from the right, rsplit"),
            (list_and_list, "lists have no &"),
            (yes_or_no, "return a list or a set of scenes"),
        ],
    },
    "16.2": {
        "second": by_the_sign,
        "wrong": [
            (sign_first, "is above 0, but all of it is within ±margin: ask this first"),
            (without_margin, "no further seed is needed"),
            (one_is_enough, "one seed has no spread"),
            (the_mean_is_small, "Compare both ends, not the mean"),
            (mean_decides, "the interval holds 0: compare its lower end|Compare both ends"),
            (cannot_tell_is_equal, "the interval reaches beyond margin"),
            (beyond_the_margin, "margin is only for 'too small'"),
            (upper_end_only, "compare its lower end, too"),
            (turned_round, "above 0 the change helps"),
            (yes_or_no_step, "return one of 'keep', 'drop'"),
            (no_last_return, "One case has no return"),
            (three_numbers, "gives two numbers, the mean and half"),
        ],
    },
    "16.3": {
        "second": by_a_loop,
        "wrong": [
            (best_on_test, "you looked at the test pictures of 3 networks"),
            (tests_all_reports_one, "choose by validation, and call test for the chosen one"),
            (tests_twice, "you called test 2 times"),
            (never_tests, "you never called test"),
            (reports_validation, "this is the validation score"),
            (tests_the_first, "you never called validation for a"),
            (takes_the_worst, "the best on validation is 'b'"),
            (counts_validation, "only calls of test are looks"),
            (gives_a_score_to_test, "test was given 32.5: give it the name"),
            (gives_a_list, "validation was given"),
            (name_and_score, "return three things"),
        ],
    },
}
