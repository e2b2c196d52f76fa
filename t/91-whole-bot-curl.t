#!/usr/bin/perl
# Copyright (C) The Mesh contributors
# SPDX-License-Identifier: AGPL-3.0-only

# A bot of shell and curl that knows the address of /skill.md and nothing else
# polls and answers, while workers die and the node reloads, and after it was
# killed itself: each question once, even when an answer or a poll was lost.

use strict;
use warnings;

use Cwd ();
use File::Basename qw(dirname);
use Test::More;

use lib dirname(Cwd::realpath(__FILE__)) . '/lib';

use Mesh::Test;
use Mesh::Test::Program;

plan skip_all => 'there is no curl'
    unless grep { -x "$_/curl" } split /:/, $ENV{PATH};

my $node = Mesh::Test->full(workers => 2);
my $owner = $node->owner;
my $room = $owner->create_room('hall');
my @asked;

mkdir $node->prefix . '/bot' or die "mkdir: $!";

sub start_bot {
    my $bot = Mesh::Test::Program->new(
        command => [ '/bin/sh', "$Mesh::Test::TOP/t/bots/stranger.sh",
                     'http://127.0.0.1:' . $node->port . '/skill.md' ],
        folder  => $node->prefix . '/bot', env => { NAME => 'curly' });

    $node->wait_for(sub {
        die $bot->output unless $bot->is_running;
        $bot->output =~ /^in \Q$room\E$/m;
    }, 30, 'a bot of curl');

    return $bot;
}

sub ask {
    my ($text) = @_;

    $owner->say($room, $text);
    push @asked, $text;

    return;
}

sub answers {
    my $reply = $owner->get("/api/rooms/$room/messages?limit=100");

    return map { $_->{content} }
           grep { $_->{senderName} eq 'curly' } @{ $reply->json->{messages} };
}

sub wait_for_answer {
    my ($question) = @_;
    my $answer = $question =~ s/\?/!/r;

    return $node->wait_for(sub { grep { $_ eq $answer } answers() }, 30,
                           "an answer to \"$question\"");
}

$owner->say($room, 'before it came?');

my $bot = start_bot();

ask('does it answer?');
ok(wait_for_answer('does it answer?'), 'a bot that read /skill.md answers');

my $mode = (stat $node->prefix . '/bot/bot.json')[2] & 07777;

is($mode, 0600, 'its secret is readable by nobody else');


# Whatever happens to the node.

for my $trouble (sub { $node->kill_worker }, sub { $node->reload }) {
    my $n = @asked;

    for my $i (1 .. 3) {
        ask("in trouble, $n.$i?");
        $trouble->() if $i == 2;
    }
}

ok(wait_for_answer($asked[-1]), 'it goes on when a worker dies, and reloads');


# Whatever happens to the bot: what it had not acknowledged comes again.

ask('on the way out?');
$bot->end('KILL');
ask("while it was away, $_?") for 1 .. 3;
$bot = start_bot();

ok(wait_for_answer($asked[-1]), 'started again it has what it missed');
unlike($bot->output, qr/before it came/, 'and nothing from before it came');
$bot->end('TERM');

is_deeply([ sort(answers()) ], [ sort map { s/\?/!/r } @asked ],
          'each question was answered, once');

done_testing;
