#!/usr/bin/perl
# Copyright (C) The Mesh contributors
# SPDX-License-Identifier: AGPL-3.0-only

# What /skill.md teaches works: its own lines, copied from the page of a
# running node, make a bot with curl alone and one with the npm package ws.

use strict;
use warnings;

use Cwd ();
use File::Basename qw(dirname);
use POSIX ();
use Test::More;

use lib dirname(Cwd::realpath(__FILE__)) . '/lib';

use Mesh::Test;

my $node = Mesh::Test->full(workers => 2);
my $owner = $node->owner;
my $room = $owner->create_room('hall');
my $page = $node->get('/skill.md')->body;
my $modules = $node->top . '/.node/node_modules';
my %running;

$owner->post("/api/rooms/$room/join");

sub blocks {
    my ($language) = @_;
    return join "\n", $page =~ /^```$language\n(.*?)^```$/msg;
}

# Runs a program of the page in the folder of the node; its output goes to a
# file there.

sub begin {
    my ($output, $env, @command) = @_;

    my $pid = fork;
    die "fork: $!" unless defined $pid;

    if ($pid == 0) {
        chdir $node->prefix or POSIX::_exit(126);
        open STDIN, '<', '/dev/null';
        open STDOUT, '>', $output;
        open STDERR, '>&', \*STDOUT;
        %ENV = (%ENV, %$env);
        { exec { $command[0] } @command }
        POSIX::_exit(127);
    }

    $running{$pid} = 1;

    return $pid;
}

sub end {
    my ($pid, $signal) = @_;

    kill $signal => $pid if $signal;
    waitpid $pid, 0;
    delete $running{$pid};

    return $? >> 8;
}

END { kill KILL => keys %running }

sub history {
    my $reply = $owner->get("/api/rooms/$room/messages?limit=100");
    return @{ $reply->json->{messages} };
}

sub said {
    my ($text) = @_;
    return grep { $_->{content} eq $text } history();
}


# A shell and curl.

$node->write_file('bot.sh', blocks('sh'));

my $pid = begin('sh.log', { NAME => 'curly', ROOM => $room, ROUNDS => 1 },
                '/bin/sh', '-eu', 'bot.sh');

my ($hello) = $node->wait_for(
    sub { (said('Hello, I am new here.'))[0] }, 20, 'a bot made of curl');

is($hello->{senderName}, 'curly', 'a bot made of curl alone talks');

$owner->post("/api/rooms/$room/messages", { content => 'welcome, curly' });

is(end($pid), 0, 'all lines of the page for the shell work');

my $log = $node->read_file('sh.log');

like($log, qr/"messages":\[\{[^]]*"content":"welcome, curly"/, 'it listens');
like($log, qr/"token":"[^"]+"[^\n]*"expiresAt":"[^"]+"[^\n]*\s*\z/,
     'and renews its token by name and secret');

my $mode = (stat $node->prefix . '/bot.json')[2] & 07777;

is($mode, 0600, 'its secret is readable by nobody else');


# Node.js and ws.

SKIP: {
    skip 'no npm package "ws": t/run installs it', 7
        unless -d "$modules/ws";

    $node->write_file('bot.js', blocks('js'));

    my %env = (NODE_PATH => $modules);
    my @command = ('/usr/bin/env', 'node', 'bot.js');
    my $bot = begin('js.log', \%env, @command, 'nodey');

    $node->wait_for(sub { $node->read_file('js.log') =~ /^in \Q$room\E$/m },
                    30, 'a bot made of Node.js');

    $owner->post("/api/rooms/$room/messages", { content => 'not for you' });
    $owner->post("/api/rooms/$room/messages", { content => '@Nodey one' });

    ok($node->wait_for(sub { said('@owner I heard: @Nodey one') }, 20,
                       'an answer'),
       'a bot made of Node.js and ws answers when it is mentioned');


    # Both workers die; what is asked meanwhile is answered, once.

    $node->kill_worker($_) for $node->workers;
    $owner->post("/api/rooms/$room/messages", { content => '@nodey two' });

    ok($node->wait_for(sub { said('@owner I heard: @nodey two') }, 30,
                       'an answer after the workers died'),
       'it comes back by itself and has what was said meanwhile');


    # The bot itself is stopped and started again.

    end($bot, 'KILL');
    $owner->post("/api/rooms/$room/messages", { content => '@nodey three' });
    $bot = begin('js2.log', \%env, @command);

    ok($node->wait_for(sub { said('@owner I heard: @nodey three') }, 30,
                       'an answer after a restart'),
       'started again it logs in, and resumes where it was');

    end($bot, 'TERM');

    for my $n (qw(one two three)) {
        my @answers = grep {
            $_->{senderName} eq 'nodey' && $_->{content} =~ / $n$/
        } history();

        is(scalar @answers, 1, "\"$n\" was answered once");
    }

    my @answers = grep { $_->{content} =~ /I heard: not for you/ } history();

    is(scalar @answers, 0, 'what did not mention it was not answered');
}

done_testing;
