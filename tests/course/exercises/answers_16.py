"""Answers to the exercises of lesson 16: a second right one, and wrong ones with the reason."""

import statistics

import numpy as np

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


# -- 16.2: paired_interval(before, after, t) ------------------------------------------------------


def with_statistics(before, after, t):
    pairs = [value - before[seed] for seed, value in after.items()]
    return [statistics.fmean(pairs), t * statistics.stdev(pairs) * len(pairs) ** -0.5]


def pairs_of(before, after):
    return np.array([after[seed] - before[seed] for seed in before])


def half(pairs, t, ddof=1, power=0.5):
    return pairs.mean(), t * pairs.std(ddof=ddof) / len(pairs) ** power


def divides_by_n(before, after, t):
    return half(pairs_of(before, after), t, ddof=0)


def without_root(before, after, t):
    return half(pairs_of(before, after), t, power=0)


def by_n(before, after, t):
    return half(pairs_of(before, after), t, power=1)


def without_t(before, after, t):
    return half(pairs_of(before, after), 1)


def with_196(before, after, t):
    return half(pairs_of(before, after), 1.96)


def whole_width(before, after, t):
    return half(pairs_of(before, after), 2 * t)


def in_the_order_of_the_dicts(before, after, t):
    return half(np.array(list(after.values())) - np.array(list(before.values())), t)


def two_means(before, after, t):
    a, b = (np.array(list(side.values())) for side in (after, before))
    return a.mean() - b.mean(), t * np.sqrt((a.var(ddof=1) + b.var(ddof=1)) / len(a))


def one_side(before, after, t):
    a = np.array(list(after.values()))
    return pairs_of(before, after).mean(), t * a.std(ddof=1) / len(a) ** 0.5


def other_sign(before, after, t):
    return half(-pairs_of(before, after), t)


def subtracts_dicts(before, after, t):
    return half(after - before, t)


def counts_the_seeds(before, after, t):
    return half(np.array([after[k] - before[k] for k in range(len(before))]), t)


def mean_only(before, after, t):
    return pairs_of(before, after).mean()


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
        "second": with_statistics,
        "wrong": [
            (divides_by_n, r"divides by n − 1: ddof=1"),
            (without_root, "√n is missing"),
            (by_n, "divide by √n, not by n"),
            (without_t, "t is missing"),
            (with_196, "1.96 is for many seeds"),
            (whole_width, "give half of it"),
            (in_the_order_of_the_dicts, "take the same seed from both"),
            (two_means, "the interval of two means"),
            (one_side, "the spread of one side"),
            (other_sign, "that is before − after"),
            (subtracts_dicts, "go seed by seed"),
            (counts_the_seeds, "take the same seed|the seeds are not 0, 1, 2"),
            (mean_only, "return two numbers"),
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
